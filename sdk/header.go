package odac

// Header is a list of headers as flat pairs: name, value, name, value. Names compare without regard to case.
type Header []string

// Get is the first value of a name, "" if there is none.
func (h Header) Get(name string) string {
	for i := 0; i+1 < len(h); i += 2 {
		if equalFold(h[i], name) {
			return h[i+1]
		}
	}
	return ""
}

// Values are all values of a name.
func (h Header) Values(name string) []string {
	var list []string
	for i := 0; i+1 < len(h); i += 2 {
		if equalFold(h[i], name) {
			list = append(list, h[i+1])
		}
	}
	return list
}

// Add adds a value.
func (h *Header) Add(name, value string) { *h = append(*h, name, value) }

// Set replaces every value of a name by one.
func (h *Header) Set(name, value string) {
	h.Del(name)
	h.Add(name, value)
}

// Del removes every value of a name.
func (h *Header) Del(name string) {
	kept := (*h)[:0]
	for i := 0; i+1 < len(*h); i += 2 {
		if !equalFold((*h)[i], name) {
			kept = append(kept, (*h)[i], (*h)[i+1])
		}
	}
	*h = kept
}

// equalFold compares ASCII without regard to case.
func equalFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		x, y := a[i], b[i]
		if x|0x20 != y|0x20 || x != y && (x|0x20 < 'a' || x|0x20 > 'z') {
			return false
		}
	}
	return true
}
