package plugins

import (
	"fmt"
	"strings"
)

// suggest says which of the names was meant, or lists them all.
func suggest(got string, names []string) string {
	best, distance := "", max(1, len(got)/3)+1
	for _, name := range names {
		d := editDistance(strings.ToLower(got), name)
		if len(got) >= 3 && (strings.HasPrefix(name, got) || strings.HasPrefix(got, name)) {
			d = min(d, 1)
		}
		if d < distance {
			best, distance = name, d
		}
	}
	if best != "" {
		return fmt.Sprintf("did you mean %q?", best)
	}
	return "known are " + strings.Join(names, ", ")
}

// editDistance is the Levenshtein distance over bytes, with a swap of two neighbours as one step. Long texts are far from
// everything.
func editDistance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return len(a) + len(b)
	}
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
