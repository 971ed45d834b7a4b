// Command work keeps a processor busy: what instrumentation costs is measured on it.
package main

import (
	"crypto/sha256"
	"encoding/json"
	"regexp"
	"strings"
)

//go:wasmexport regexpbomb
func regexpbomb() int32 {
	re := regexp.MustCompile(`(a*)*(b|a)*c`)
	s := make([]byte, 1<<20)
	for i := range s {
		s[i] = 'a'
	}
	n := int32(0)
	for re.Match(s) == false {
		n++
	}
	return n
}

//go:wasmexport sieve
func sieve(n int32) int32 {
	composite := make([]bool, n)
	primes := int32(0)
	for i := int32(2); i < n; i++ {
		if composite[i] {
			continue
		}
		primes++
		for j := i * 2; j < n; j += i {
			composite[j] = true
		}
	}
	return primes
}

//go:wasmexport sha
func sha(rounds int32) int32 {
	b := make([]byte, 4096)
	var sum [32]byte
	for range rounds {
		sum = sha256.Sum256(b)
		b[0] = sum[0]
	}
	return int32(sum[0])
}

type item struct {
	ID    int               `json:"id"`
	Name  string            `json:"name"`
	Tags  []string          `json:"tags"`
	Attrs map[string]string `json:"attrs"`
}

//go:wasmexport jsonround
func jsonround(rounds int32) int32 {
	in := item{ID: 7, Name: "a board", Tags: []string{"x", "y", "z"}, Attrs: map[string]string{"k": "v", "q": "w"}}
	n := 0
	for range rounds {
		b, _ := json.Marshal(in)
		var out item
		_ = json.Unmarshal(b, &out)
		n += out.ID
	}
	return int32(n)
}

//go:wasmexport nested
func nested(depth int32) int32 {
	var v any
	text := strings.Repeat("[", int(depth)) + strings.Repeat("]", int(depth))
	if json.Unmarshal([]byte(text), &v) != nil {
		return 0
	}
	return 1
}

//go:wasmexport regex
func regex(rounds int32) int32 {
	re := regexp.MustCompile(`([a-z]+)@([a-z]+)\.(com|org)`)
	s := []byte("write to someone at nobody@example.org, or somebody@example.com, but not @example.net")
	n := 0
	for range rounds {
		n += len(re.FindAllIndex(s, -1))
	}
	return int32(n)
}

//go:wasmexport fannkuch
func fannkuch(n int32) int32 {
	perm1 := make([]int32, n)
	for i := range perm1 {
		perm1[i] = int32(i)
	}
	perm := make([]int32, n)
	cnt := make([]int32, n)
	flips, r := int32(0), n
	for {
		for ; r != 1; r-- {
			cnt[r-1] = r
		}
		copy(perm, perm1)
		f := int32(0)
		for k := perm[0]; k != 0; k = perm[0] {
			for i, j := int32(0), k; i < j; i, j = i+1, j-1 {
				perm[i], perm[j] = perm[j], perm[i]
			}
			f++
		}
		flips = max(flips, f)
		for {
			if r == n {
				return flips
			}
			p0 := perm1[0]
			copy(perm1[:r], perm1[1:r+1])
			perm1[r] = p0
			if cnt[r]--; cnt[r] > 0 {
				break
			}
			r++
		}
		r = max(r, 1)
	}
}

//go:wasmexport recurse
func recurse(n int32) int32 {
	if n < 2 {
		return 1
	}
	return recurse(n-1) + recurse(n-2)
}

func main() {}
