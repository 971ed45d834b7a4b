package database

import (
	"math/big"
	"testing"
	"time"
)

func rat(s string) *big.Rat {
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		return nil
	}
	return r
}

// Decimals agree with math/big's rationals.
func FuzzDecimal(f *testing.F) {
	for _, s := range []string{"0", "-0.00", "1.005", "12.", ".5", "+7", "-00012.3400", "99999999999999999999.995", "1e5", "", "-"} {
		f.Add(s, "1.5", uint8(2))
	}
	f.Fuzz(func(t *testing.T, a, b string, s uint8) {
		scale := int(s % 20)
		n, exact, ok := parseDecimal(a, scale)
		if !ok {
			if canonicalDecimal(a, scale) {
				t.Fatalf("%q is canonical and no number", a)
			}
			return
		}
		text := formatDecimal(n, scale)
		if again, e, ok := parseDecimal(text, scale); !ok || !e || again.Cmp(n) != 0 || !canonicalDecimal(text, scale) {
			t.Fatalf("%q prints as %q", a, text)
		}
		if canonicalDecimal(a, scale) != (a == text) {
			t.Fatalf("%q: canonical is %t, printed as %q", a, canonicalDecimal(a, scale), text)
		}
		ra := rat(a)
		diff := new(big.Rat).Sub(ra, rat(text))
		half := new(big.Rat).SetFrac(big.NewInt(1), new(big.Int).Mul(big.NewInt(2), new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(scale)), nil)))
		if exact != (diff.Sign() == 0) || diff.Abs(diff).Cmp(half) > 0 || diff.Cmp(half) == 0 && new(big.Rat).Abs(rat(text)).Cmp(new(big.Rat).Abs(ra)) < 0 {
			t.Fatalf("%q rounds to %q, exact %t", a, text, exact)
		}
		if _, _, _, ok := splitDecimal(b); ok && compareDecimal(a, b) > 0 != (ra.Cmp(rat(b)) > 0) {
			t.Fatalf("compare %q with %q is %d", a, b, compareDecimal(a, b))
		}
		if compareDecimal(a, b) > 0 != (compareDecimal(b, a) < 0) {
			t.Fatalf("%q and %q have no order", a, b)
		}
	})
}

func TestQuotient(t *testing.T) {
	for _, c := range [][3]int64{{10, 4, 3}, {-10, 4, -3}, {9, 4, 2}, {0, 7, 0}, {-1, 2, -1}, {1, 3, 0}} {
		if got := quotient(big.NewInt(c[0]), big.NewInt(c[1])); got.Int64() != c[2] {
			t.Errorf("%d / %d is %v, want %d", c[0], c[1], got, c[2])
		}
	}
}

// Times agree with package time.
func FuzzTimeText(f *testing.F) {
	for _, s := range []string{"2026-02-28T23:59:59.123456789Z", "2024-02-29", "0000-01-01T00:00:00Z", "1900-02-29", "2026-01-01 10:00", "2026-01-01T10:00:00+01:30", "9999-12-31T23:59:59.9Z"} {
		f.Add(s)
	}
	layouts := []string{time.RFC3339Nano, "2006-01-02", "2006-01-02 15:04", "2006-01-02 15:04:05.999999999", "2006-01-02T15:04:05.999999999"}
	f.Fuzz(func(t *testing.T, s string) {
		sec, nsec, ok := parseTimeText(s)
		if again, n, k := parseTimeText([]byte(s)); again != sec || n != nsec || k != ok {
			t.Fatal("bytes and text differ")
		}
		for _, layout := range layouts {
			want, err := time.Parse(layout, s)
			if err != nil || len(s) < 11 && layout != "2006-01-02" {
				continue
			}
			if ok && (want.Unix() != sec || want.Nanosecond() != int(nsec)) {
				t.Fatalf("%q is %d %d, want %v", s, sec, nsec, want)
			}
		}
		if ok {
			at := time.Unix(sec, int64(nsec)).UTC()
			if inYears(at) {
				text := string(appendTimeText(nil, at))
				if again, n, k := parseTimeText(text); again != sec || n != nsec || !k || len(text) != len(timeLayout) {
					t.Fatalf("%q prints as %q", s, text)
				}
			}
		}
	})
}

func TestDays(t *testing.T) {
	for at := time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC); at.Year() < 2500; at = at.AddDate(0, 0, 1) {
		if got := daysSince1970(at.Year(), int(at.Month()), at.Day()); got != at.Unix()/86400 && at.Unix() >= 0 || got*86400 != at.Unix() {
			t.Fatalf("%v is day %d", at, got)
		}
	}
}
