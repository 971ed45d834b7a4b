package console

import (
	"strings"
	"unicode/utf8"
)

// Table prints rows under a head, with columns that line up and two spaces between them. Short rows have empty cells at the
// end; cells beyond the head are left out. No rows, no table.
func (c *Console) Table(head []string, rows [][]string) {
	if len(rows) == 0 {
		return
	}
	widths := make([]int, len(head))
	lines := make([][]string, 0, len(rows)+1)
	for _, row := range append([][]string{head}, rows...) {
		line := make([]string, len(head))
		for i := range min(len(row), len(head)) {
			line[i] = Clean(row[i])
			widths[i] = max(widths[i], utf8.RuneCountInString(line[i]))
		}
		lines = append(lines, line)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for n, line := range lines {
		var b strings.Builder
		for i, cell := range line {
			b.WriteString(cell)
			b.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+2))
		}
		text := strings.TrimRight(b.String(), " ")
		if n == 0 {
			text = c.paint(bold, text)
		}
		c.lineLocked(text)
	}
}
