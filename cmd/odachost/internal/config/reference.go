package config

import (
	"fmt"
	"strings"
)

// Reference is docs/config.md.
func Reference() string {
	var b strings.Builder
	b.WriteString(`# Configuration

Generated from ` + "`cmd/odachost/internal/config`" + `; ` + "`odachost config --keys`" + ` prints the same.

A value is taken from the last of these places that has one:

1. the default,
2. the file ` + "`odachost.yaml`" + ` in the working folder, or the one that ` + "`--config`" + ` or ` + "`ODAC_CONFIG`" + ` names,
3. the environment: ` + "`http.read_timeout`" + ` is ` + "`ODAC_HTTP_READ_TIMEOUT`" + `; an empty variable counts as none,
4. a flag: ` + "`--http.read_timeout 10s`" + `. Keys with a ` + "`<name>`" + ` have none.

` + "`odachost config`" + ` prints what holds and where each value was written, with secrets hidden. An unknown key or a bad value is an
error in all three, so a typing mistake does not go unnoticed.

` + "```yaml" + `
listen: 0.0.0.0:8080
data: /var/lib/odachost
http:
  trusted_proxies: [10.0.0.0/8]
database:
  analytics: {type: sqlite, filename: /var/lib/odachost/analytics.db}
plugins:
  board: {title: The village board}
` + "```" + `

A **duration** is a number and ` + "`ms`, `s`, `m` or `h`" + `. A **size** is a number and ` + "`KiB`, `MiB` or `GiB`" + `. A **list** is a YAML list in
the file, and has commas in a variable or flag.

In a variable the word after ` + "`ODAC_DATABASE_` or `ODAC_PLUGINS_`" + ` is the name, the rest is the key, and a dash is written as two
underscores: ` + "`ODAC_PLUGINS_MY__BLOG_TITLE`" + ` is ` + "`plugins.my-blog.title`" + `. Names and keys with capital letters or dots can be written
in the file only.
`)
	first := ""
	for _, k := range Keys() {
		section, _, _ := strings.Cut(k.Path, ".")
		if section == k.Path {
			section = "general"
		}
		if section != first {
			first = section
			fmt.Fprintf(&b, "\n## %s\n\n| key | variable | type | default | meaning |\n| --- | --- | --- | --- | --- |\n", section)
		}
		value := k.Default
		if value != "" {
			value = "`" + value + "`"
		}
		fmt.Fprintf(&b, "| `%s` | `%s` | %s | %s | %s |\n", k.Path, k.Env(), k.Kind(), value, strings.ReplaceAll(k.Doc, "|", `\|`))
	}
	return b.String()
}
