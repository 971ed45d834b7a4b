package migrate

// byDependency orders tables so that one comes after those its keys point to; a cycle is cut where it is found.
func byDependency(all []*TableChange) []*TableChange {
	byName := map[string]*TableChange{}
	for _, tc := range all {
		byName[fold(tc.Name)] = tc
	}
	var out []*TableChange
	done := map[string]bool{}
	var visit func(tc *TableChange)
	visit = func(tc *TableChange) {
		if done[fold(tc.Name)] {
			return
		}
		done[fold(tc.Name)] = true
		info := tc.want
		if info == nil {
			info = tc.live
		}
		for _, fk := range info.ForeignKeys {
			if parent := byName[fold(fk.RefTable)]; parent != nil {
				visit(parent)
			}
		}
		out = append(out, tc)
	}
	for _, tc := range all {
		visit(tc)
	}
	return out
}

// byReference orders the tables of a schema so that one comes after those its keys point to.
func (s *Schema) byReference() []*Table {
	var all []*TableChange
	tables := map[string]*Table{}
	for _, t := range s.sorted() {
		tables[t.Name] = t
		all = append(all, &TableChange{Name: t.Name, want: &TableInfo{ForeignKeys: t.ForeignKeys}})
	}
	var out []*Table
	for _, tc := range byDependency(all) {
		out = append(out, tables[tc.Name])
	}
	return out
}
