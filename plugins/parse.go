package plugins

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// ParseManifest reads a manifest. file is its name in errors. The error is a [*ManifestError] with every problem found, up
// to 20. data is not kept.
func ParseManifest(file string, data []byte) (*Manifest, error) {
	m := &Manifest{
		Mount:     Mount{Path: DefaultMountPath},
		Wasm:      DefaultWasm,
		Isolation: IsolationFresh,
		Schema:    DefaultSchema, Migrations: DefaultMigrations, Assets: DefaultAssets,
		Config: map[string]string{},
		file:   file,
	}
	d := &decoder{}
	if body, ok := d.parseYAML(data); ok {
		root := value{at: tokenPosition(body.GetToken()), node: body}
		d.fields(root, manifestFields(m))
		if isMapping(root) {
			d.validate(m)
		}
	}
	if len(d.problems) > 0 {
		slices.SortStableFunc(d.problems, func(a, b Problem) int { return cmp.Or(a.Line-b.Line, a.Column-b.Column) })
		return nil, &ManifestError{File: file, Problems: d.problems}
	}
	m.explicit = d.seen
	slices.Sort(m.Required)
	return m, nil
}

// ReadManifest reads dir/plugin.yaml.
func ReadManifest(dir string) (*Manifest, error) {
	m, _, err := readManifest(dir)
	return m, err
}

func readManifest(dir string) (*Manifest, []byte, error) {
	file := filepath.Join(dir, ManifestName)
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("plugins: no %s in %s: go to a plugin's folder, or make one with odachost new: %w", ManifestName, dir, err)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("plugins: read the manifest: %w", err)
	}
	data, err := readLimited(f, maxManifestBytes)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return nil, nil, fmt.Errorf("plugins: read %s: %w", file, err)
	}
	m, err := ParseManifest(file, data)
	return m, data, err
}

// validate checks what several keys say together.
func (d *decoder) validate(m *Manifest) {
	for _, key := range []string{"name", "version"} {
		if _, ok := d.seen[key]; !ok {
			d.problem(position{}, key, "is missing: add it, such as %s", map[string]string{"name": "name: blog", "version": "version: 0.1.0"}[key])
		}
	}
	c := m.Capabilities
	if c.Cache != nil && c.DB == nil {
		d.problem(d.seen["capabilities.cache"], "capabilities.cache", "caches what is read from tables: list them under capabilities.db.tables")
	}
	if c.Buffer != nil {
		d.validateBuffer(c)
	}
	if c.DB != nil {
		d.validatePolicies(m)
	}
	if m.Isolation == IsolationSingle && m.Limits.MaxInstances > 1 {
		d.problem(d.seen["limits.instances"], "limits.instances", "isolation: single has one instance: delete the limit or choose warm")
	}
}

func (d *decoder) validateBuffer(c Capabilities) {
	const key = "capabilities.buffer"
	writes := func(table string) bool {
		return c.DB != nil && slices.ContainsFunc(c.DB.Tables[table].Verbs, func(v Verb) bool { return v != Select })
	}
	if len(c.Buffer.Tables) == 0 {
		var some bool
		if c.DB != nil {
			for table := range c.DB.Tables {
				some = some || writes(table)
			}
		}
		if !some {
			d.problem(d.seen[key], key, "writes to tables: allow insert or update on one under capabilities.db.tables")
		}
	}
	for _, table := range c.Buffer.Tables {
		if !writes(table) {
			d.problem(d.seen[key], key, "table %s may not be written: allow insert or update on it under capabilities.db.tables", table)
		}
	}
}

// set makes a reader of one text that is checked.
func set(to *string, check func(string) error) func(*decoder, value) {
	return func(d *decoder, v value) {
		s, ok := d.text(v)
		if !ok {
			return
		}
		if err := check(s); err != nil {
			d.wrong(v, "%v", err)
			return
		}
		*to = s
	}
}

func manifestFields(m *Manifest) []field {
	folder := func(key, doc string, to *string) field {
		return field{key: key, doc: doc, schema: textSchema(""), read: set(to, checkPath)}
	}
	extism, readExtism := readExtism(m)
	return []field{
		{key: "name", doc: "The plugin's name: lower-case letters, digits, dashes.", schema: textSchema(`^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`), read: set(&m.Name, checkName)},
		{key: "version", doc: "Semantic version, such as 1.4.0.", schema: textSchema(`^\d+\.\d+\.\d+`), read: set(&m.Version, checkVersion)},
		{key: "description", doc: "One line for people.", schema: textSchema(""), read: set(&m.Description, checkDescription)},
		{
			key: "mount", doc: "URL path prefix of the plugin's routes, or path and hosts. Default /.",
			schema: anyOf(textSchema("^/"), nil), sub: mountFields(m), read: readMount(m),
		},
		{key: "wasm", doc: "The compiled module. Default " + DefaultWasm + ".", schema: textSchema(""), read: set(&m.Wasm, checkPath)},
		{key: "build", doc: "The command that compiles it, run without a shell. Default: the Go build.", schema: anyOf(textSchema(""), listSchema()), read: readBuild(m)},
		{
			key: "extism", doc: "The module was made with an Extism PDK: true, or what of it is used how.",
			schema: anyOf(boolSchema, nil), sub: extism, read: readExtism,
		},
		{key: "capabilities", doc: "What the plugin may reach. What is not listed is not linked.", sub: capabilityFields(m), read: readFields(capabilityFields(m))},
		{key: "limits", doc: "Budgets, below the operator's maxima.", sub: limitKeys(m), read: readFields(limitKeys(m))},
		{
			key: "isolation", doc: "What survives a call: nothing (fresh, default), an instance's memory (warm), one instance's memory (single).",
			schema: map[string]any{"enum": []string{"fresh", "warm", "single"}}, read: readIsolation(m),
		},
		{
			key: "config", doc: "The plugin's own configuration: keys and single values. A key without a value is the operator's to give.",
			schema: map[string]any{"type": "object", "additionalProperties": map[string]any{"type": []string{"string", "number", "boolean", "null"}}},
			read:   readConfig(m),
		},
		folder("assets", "Folder of files to serve under mount + /assets/. Default "+DefaultAssets+", where it exists.", &m.Assets),
		folder("schema", "Folder of table definitions. Default "+DefaultSchema+", where it exists.", &m.Schema),
		folder("migrations", "Folder of migration files. Default "+DefaultMigrations+", where it exists.", &m.Migrations),
	}
}

func readFields(fields []field) func(*decoder, value) {
	return func(d *decoder, v value) { d.fields(v, fields) }
}

func mountFields(m *Manifest) []field {
	return []field{
		{key: "path", doc: "URL path prefix. Default /.", schema: textSchema("^/"), read: set(&m.Mount.Path, checkMountPath)},
		{
			key: "hosts", doc: `Host names that the plugin answers, exact or "*.example.org". Default: all.`, schema: listSchema(),
			read: func(d *decoder, v value) { m.Mount.Hosts = d.texts(v, checkHost) },
		},
	}
}

func readMount(m *Manifest) func(*decoder, value) {
	return func(d *decoder, v value) {
		if isMapping(v) {
			d.fields(v, mountFields(m))
			return
		}
		set(&m.Mount.Path, checkMountPath)(d, v)
	}
}

func readBuild(m *Manifest) func(*decoder, value) {
	return func(d *decoder, v value) {
		if isList(v) {
			list := d.list(v)
			for _, item := range list {
				if s, ok := d.text(item); ok {
					m.Build = append(m.Build, s)
				}
			}
			if len(m.Build) == 0 || m.Build[0] == "" {
				d.wrong(v, "has no command: write one, such as [make, plugin.wasm]")
			}
			return
		}
		s, ok := d.text(v)
		if !ok {
			return
		}
		argv, err := splitCommand(s)
		if err != nil {
			d.wrong(v, "%v", err)
		}
		m.Build = argv
	}
}

func readIsolation(m *Manifest) func(*decoder, value) {
	return func(d *decoder, v value) {
		s, ok := d.text(v)
		if !ok {
			return
		}
		switch mode := Isolation(s); mode {
		case IsolationFresh, IsolationWarm, IsolationSingle:
			m.Isolation = mode
		default:
			d.wrong(v, "unknown mode %q; %s", s, suggest(s, []string{"fresh", "warm", "single"}))
		}
	}
}

func readConfig(m *Manifest) func(*decoder, value) {
	return func(d *decoder, v value) {
		entries := d.entries(v)
		for _, e := range entries {
			if err := checkConfigKey(e.name); err != nil {
				d.problem(e.at, e.key, "%v", err)
				continue
			}
			if isNull(e) {
				m.Required = append(m.Required, e.name)
				continue
			}
			if s, ok := d.text(e); ok {
				m.Config[e.name] = s
			}
		}
	}
}

// Configure is the plugin's configuration with the operator's values over it. A key that the manifest does not have, or one that
// the operator has to give and did not, is an error.
func (m *Manifest) Configure(operator map[string]string) (map[string]string, error) {
	config := make(map[string]string, len(m.Config)+len(m.Required))
	for key, value := range m.Config {
		config[key] = value
	}
	for key, value := range operator {
		if _, ok := m.Config[key]; !ok && !slices.Contains(m.Required, key) {
			known := slices.Clone(m.Required)
			for k := range m.Config {
				known = append(known, k)
			}
			slices.Sort(known)
			if len(known) == 0 {
				return nil, fmt.Errorf("plugins: configuration of %s: unknown key %s; the plugin has none", m.Name, key)
			}
			return nil, fmt.Errorf("plugins: configuration of %s: unknown key %s; %s", m.Name, key, suggest(key, known))
		}
		config[key] = value
	}
	var missing []string
	for _, key := range m.Required {
		if _, ok := config[key]; !ok {
			missing = append(missing, key)
		}
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("plugins: configuration of %s: no value for %s: set it for this plugin in the host's configuration", m.Name, strings.Join(missing, ", "))
	}
	return config, nil
}
