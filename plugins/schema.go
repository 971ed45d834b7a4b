package plugins

import (
	"bytes"
	"encoding/json"
)

var boolSchema = map[string]any{"type": "boolean"}

func textSchema(pattern string) map[string]any {
	s := map[string]any{"type": "string"}
	if pattern != "" {
		s["pattern"] = pattern
	}
	return s
}

func listSchema() map[string]any {
	return map[string]any{"type": "array", "items": textSchema("")}
}

// anyOf lists alternatives; nil stands for the mapping of the field's sub-keys.
func anyOf(alternatives ...map[string]any) map[string]any {
	return map[string]any{"anyOf": alternatives}
}

func (f limitField) schema() map[string]any {
	switch f.kind {
	case limitTime:
		return textSchema(`^([0-9.]+(ns|us|ms|s|m|h))+$`)
	case limitBytes:
		return anyOf(textSchema(`^[0-9.]+ *([KMG]i?)?B?$`), map[string]any{"type": "integer", "minimum": 1})
	}
	return map[string]any{"type": "integer", "minimum": 1}
}

// ManifestSchema is the JSON schema of plugin.yaml, for editors; plugin.schema.json in the source tree is its text. The
// parser knows more than a schema can say.
func ManifestSchema() []byte {
	s := objectSchema(manifestFields(&Manifest{}))
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	s["title"] = "odachost plugin manifest"
	s["required"] = []string{"name", "version"}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(s); err != nil {
		return nil // a map of texts and lists always encodes
	}
	return b.Bytes()
}

func objectSchema(fields []field) map[string]any {
	properties := map[string]any{}
	for _, f := range fields {
		s := map[string]any{}
		switch alternatives, either := f.schema["anyOf"].([]map[string]any); {
		case either:
			list := make([]map[string]any, len(alternatives))
			for i, a := range alternatives {
				if list[i] = a; a == nil {
					list[i] = objectSchema(f.sub)
				}
			}
			s["anyOf"] = list
		case f.schema != nil:
			for key, v := range f.schema {
				s[key] = v
			}
		default:
			s = objectSchema(f.sub)
		}
		s["description"] = f.doc
		properties[f.key] = s
	}
	return map[string]any{"type": "object", "additionalProperties": false, "properties": properties}
}
