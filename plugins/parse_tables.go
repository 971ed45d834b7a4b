package plugins

import (
	"fmt"
	"slices"
	"strings"
)

// tables reads what may be done to each table.
func (d *decoder) tables(v value) map[string]Table {
	entries := d.entries(v)
	tables := make(map[string]Table, len(entries))
	folded := map[string]string{}
	for _, e := range entries {
		if err := checkTable(e.name); err != nil {
			d.problem(e.at, e.key, "%v", err)
			continue
		}
		if other, ok := folded[strings.ToLower(e.name)]; ok {
			d.problem(e.at, e.key, "is table %s in other letters, which some databases take for the same: delete one", other)
			continue
		}
		folded[strings.ToLower(e.name)] = e.name
		tables[e.name] = d.table(e)
	}
	return tables
}

// table reads a list of verbs, or a mapping of verbs and where.
func (d *decoder) table(v value) Table {
	if !isMapping(v) {
		return Table{Verbs: d.verbs(v, verbs, "write what may be done, such as [select, insert], or columns, such as {select: [id, title]}", "table")}
	}
	t := Table{}
	var fields []field
	for _, verb := range verbs {
		fields = append(fields, field{key: string(verb), read: func(d *decoder, v value) { d.verb(v, verb, &t) }})
	}
	fields = append(fields, field{key: "where", read: func(d *decoder, v value) {
		text, ok := d.text(v)
		if !ok {
			return
		}
		var err error
		if t.Where, err = ParsePolicy(text); err != nil {
			d.wrong(v, "%v", err)
		}
	}})
	n := len(d.problems)
	d.fields(v, fields)
	if len(t.Verbs) == 0 && len(d.problems) == n {
		d.wrong(v, "allows nothing: write a verb and its columns, such as select: [id, title], or select: true for all columns")
	}
	slices.SortFunc(t.Verbs, func(a, b Verb) int { return slices.Index(verbs, a) - slices.Index(verbs, b) })
	return t
}

// verb reads the columns of a verb; true is all of them, false is as if it was not there.
func (d *decoder) verb(v value, verb Verb, t *Table) {
	if isBool(v) {
		if d.boolean(v) {
			t.Verbs = append(t.Verbs, verb)
		}
		return
	}
	if verb == Delete || !isList(v) {
		wanted := "write true for all columns, or a list, such as [id, title]"
		if verb == Delete {
			wanted = "write true: a row is deleted as a whole"
		}
		d.wrong(v, "is %s: %s", kindOf(v.node), wanted)
		return
	}
	n := len(d.problems)
	columns := d.texts(v, func(s string) error {
		if isIdentifier(s) {
			return nil
		}
		return fmt.Errorf("%q is not a column name: use letters, digits and _, no digit first, at most %d bytes", s, maxNameBytes)
	})
	if len(columns) == 0 {
		if len(d.problems) == n {
			d.wrong(v, "names no column: write some, or true for all, or delete the key")
		}
		return
	}
	t.Verbs = append(t.Verbs, verb)
	if t.Columns == nil {
		t.Columns = map[Verb][]string{}
	}
	t.Columns[verb] = columns
}

// channels reads what may be done with each channel.
func (d *decoder) channels(v value) map[string][]Verb {
	entries := d.entries(v)
	channels := make(map[string][]Verb, len(entries))
	for _, e := range entries {
		if !isIdentifier(e.name) {
			d.problem(e.at, e.key, "%q is not a channel name: use letters, digits and _, no digit first, at most %d bytes", e.name, maxNameBytes)
			continue
		}
		channels[e.name] = d.verbs(e, channelVerbs, "write what may be done, such as [listen, notify]", "channel")
	}
	return channels
}

// verbs reads a list of some of the verbs.
func (d *decoder) verbs(v value, verbs []Verb, example, what string) []Verb {
	if !isList(v) {
		d.wrong(v, "is %s: %s", kindOf(v.node), example)
		return nil
	}
	texts := d.texts(v, func(s string) error {
		if slices.Contains(verbs, Verb(s)) {
			return nil
		}
		return fmt.Errorf("unknown verb %q; %s", s, suggest(s, verbNames(verbs)))
	})
	if len(d.list(v)) == 0 {
		d.wrong(v, "allows nothing: write verbs, such as [%s], or delete the %s", verbs[0], what)
	}
	list := make([]Verb, 0, len(texts))
	for _, verb := range verbs {
		if slices.Contains(texts, string(verb)) {
			list = append(list, verb)
		}
	}
	return list
}

func verbNames(verbs []Verb) []string {
	names := make([]string, len(verbs))
	for i, v := range verbs {
		names[i] = string(v)
	}
	return names
}

// validatePolicies asks that what a policy takes from the configuration is the operator's word: a value of the manifest's own could loosen it without
// being seen.
func (d *decoder) validatePolicies(m *Manifest) {
	for table, t := range m.Capabilities.DB.Tables {
		if t.Where == nil {
			continue
		}
		key := "capabilities.db.tables." + table + ".where"
		t.Where.variables(func(name string) {
			name, ofConfig := strings.CutPrefix(name, variableConfig)
			if ofConfig && !slices.Contains(m.Required, name) {
				d.problem(d.seen[key], key, "uses $config.%s, which must be the operator's to give: write %s: without a value below config", name, name)
			}
		})
	}
}

// tableSchema is the JSON schema of one table.
func tableSchema() map[string]any {
	list := map[string]any{"type": "array", "minItems": 1, "uniqueItems": true, "items": map[string]any{"type": "string"}}
	properties := map[string]any{"where": textSchema("")}
	for _, v := range verbs {
		properties[string(v)] = map[string]any{"anyOf": []any{boolSchema, list}}
	}
	properties[string(Delete)] = boolSchema
	return map[string]any{"anyOf": []any{
		map[string]any{"type": "array", "minItems": 1, "uniqueItems": true, "items": map[string]any{"enum": verbs}},
		map[string]any{"type": "object", "additionalProperties": false, "properties": properties},
	}}
}
