package database

import (
	"math/big"
	"strings"
)

// maxDigits bounds a decimal: more than any database's numeric type holds is no number that was meant.
const maxDigits = 1000

// splitDecimal reads sign, digits before and after the point. There is no exponent and there are no spaces.
func splitDecimal(s string) (negative bool, whole, fraction string, ok bool) {
	if len(s) > maxDigits {
		return false, "", "", false
	}
	if s != "" && (s[0] == '-' || s[0] == '+') {
		negative, s = s[0] == '-', s[1:]
	}
	whole, fraction, _ = strings.Cut(s, ".")
	if whole == "" && fraction == "" {
		return false, "", "", false
	}
	for _, part := range [2]string{whole, fraction} {
		for i := range len(part) {
			if part[i] < '0' || part[i] > '9' {
				return false, "", "", false
			}
		}
	}
	return negative, strings.TrimLeft(whole, "0"), fraction, true
}

// canonicalDecimal says whether s is what formatDecimal would print with that scale, so that it can be kept as it is.
func canonicalDecimal(s string, scale int) bool {
	negative, whole, fraction, ok := splitDecimal(s)
	if !ok || len(fraction) != scale || s[0] == '+' {
		return false
	}
	if whole == "" {
		whole = "0"
	}
	length := len(whole) + len(fraction)
	if scale > 0 {
		length++
	}
	if negative {
		length++
		if strings.Trim(whole+fraction, "0") == "" {
			return false // -0
		}
	}
	return length == len(s)
}

// parseDecimal is the number times 10^scale. exact is false if digits were rounded away, half away from zero.
func parseDecimal(s string, scale int) (n *big.Int, exact, ok bool) {
	negative, whole, fraction, ok := splitDecimal(s)
	if !ok {
		return nil, false, false
	}
	rest := ""
	if len(fraction) > scale {
		fraction, rest = fraction[:scale], fraction[scale:]
	}
	text := whole + fraction + strings.Repeat("0", scale-len(fraction))
	if text == "" {
		text = "0"
	}
	if n, ok = new(big.Int).SetString(text, 10); !ok {
		return nil, false, false
	}
	if rest != "" && rest[0] >= '5' {
		n.Add(n, big.NewInt(1))
	}
	if negative {
		n.Neg(n)
	}
	return n, strings.Trim(rest, "0") == "", true
}

// formatDecimal prints n / 10^scale with exactly scale digits after the point.
func formatDecimal(n *big.Int, scale int) string {
	s := new(big.Int).Abs(n).String()
	if len(s) <= scale {
		s = strings.Repeat("0", scale+1-len(s)) + s
	}
	if scale > 0 {
		s = s[:len(s)-scale] + "." + s[len(s)-scale:]
	}
	if n.Sign() < 0 {
		s = "-" + s
	}
	return s
}

// compareDecimal compares two numbers; what is no number is before every number, in the order of its bytes.
func compareDecimal(a, b string) int {
	negA, wholeA, fracA, okA := splitDecimal(a)
	negB, wholeB, fracB, okB := splitDecimal(b)
	switch {
	case !okA && !okB:
		return strings.Compare(a, b)
	case !okA:
		return -1
	case !okB:
		return 1
	}
	fracA, fracB = strings.TrimRight(fracA, "0"), strings.TrimRight(fracB, "0")
	negA, negB = negA && wholeA+fracA != "", negB && wholeB+fracB != ""
	var order int
	switch {
	case negA != negB:
		if negA {
			return -1
		}
		return 1
	case len(wholeA) != len(wholeB):
		order = len(wholeA) - len(wholeB)
	case wholeA != wholeB:
		order = strings.Compare(wholeA, wholeB)
	default:
		order = strings.Compare(fracA, fracB)
	}
	if negA {
		order = -order
	}
	return order
}

// quotient is n / d rounded half away from zero; d is positive.
func quotient(n, d *big.Int) *big.Int {
	q, r := new(big.Int).QuoRem(n, d, new(big.Int))
	if r.Abs(r).Lsh(r, 1).Cmp(d) >= 0 {
		q.Add(q, big.NewInt(int64(n.Sign())))
	}
	return q
}
