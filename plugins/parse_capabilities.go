package plugins

import (
	"fmt"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

func isMapping(v value) bool {
	_, ok := v.node.(*ast.MappingNode)
	return ok
}

func isList(v value) bool {
	_, ok := v.node.(*ast.SequenceNode)
	return ok
}

func isNull(v value) bool {
	_, ok := v.node.(*ast.NullNode)
	return ok
}

func isBool(v value) bool {
	_, ok := v.node.(*ast.BoolNode)
	return ok
}

// onOff reads "true", "false" or a mapping with fields. It is true where the capability is asked for.
func (d *decoder) onOff(v value, fields []field) bool {
	if isBool(v) {
		return d.boolean(v)
	}
	if isMapping(v) {
		d.fields(v, fields)
		return true
	}
	if len(fields) == 0 {
		d.wrong(v, "is %s: write true or false", kindOf(v.node))
	} else {
		d.wrong(v, "is %s: write true, or %s below it", kindOf(v.node), fields[0].key)
	}
	return false
}

func capabilityFields(m *Manifest) []field {
	c := &m.Capabilities
	buffer, ws := &Buffer{}, &WS{}
	bufferFields := []field{{
		key: "tables", doc: "Tables that may be written through the buffer. Default: each that db allows.", schema: listSchema(),
		read: func(d *decoder, v value) { buffer.Tables = d.texts(v, checkTable) },
	}}
	wsFields := []field{{
		key: "origins", doc: `Origin host names besides the plugin's own: exact, "*.example.org", or "*".`, schema: listSchema(),
		read: func(d *decoder, v value) { ws.Origins = d.texts(v, checkAnyHost) },
	}}
	httpFields := []field{{
		key: "hosts", doc: `Host names to which requests may go: exact, "*.example.org", or "*" for any public host.`, schema: listSchema(),
		read: func(d *decoder, v value) { c.HTTP.Hosts = d.texts(v, checkAnyHost) },
	}}
	dbFields := []field{
		{
			key: "tables", doc: "Tables and what may be done to each: a list of select, insert, update, delete, or columns for each and where.",
			schema: map[string]any{"type": "object", "additionalProperties": tableSchema()},
			read:   func(d *decoder, v value) { c.DB.Tables = d.tables(v) },
		},
		{
			key: "raw", doc: "Allow SQL text, within the same tables and verbs. Default false.", schema: map[string]any{"type": "boolean"},
			read: func(d *decoder, v value) { c.DB.Raw = d.boolean(v) },
		},
		{
			key: "channels", doc: "Channels of the tenant and what may be done with each: listen, notify.",
			schema: map[string]any{"type": "object", "additionalProperties": map[string]any{
				"type": "array", "minItems": 1, "uniqueItems": true, "items": map[string]any{"enum": channelVerbs},
			}},
			read: func(d *decoder, v value) { c.DB.Channels = d.channels(v) },
		},
	}
	return []field{
		{key: CapabilityDB, doc: "Database tables.", sub: dbFields, read: func(d *decoder, v value) {
			c.DB = &DB{}
			n := len(d.problems)
			if isBool(v) {
				d.wrong(v, "is a boolean: name the tables, such as {tables: {posts: [select]}}")
				return
			}
			d.fields(v, dbFields)
			if len(c.DB.Tables)+len(c.DB.Channels) == 0 && len(d.problems) == n {
				d.wrong(v, "names no table: write tables: {posts: [select]}")
			}
		}},
		{key: CapabilityCache, doc: "Read-through cache.", schema: map[string]any{"type": "boolean"}, read: func(d *decoder, v value) {
			if d.onOff(v, nil) {
				c.Cache = &Cache{}
			}
		}},
		{key: CapabilityBuffer, doc: "Write-behind buffer.", schema: anyOf(boolSchema, nil), sub: bufferFields, read: func(d *decoder, v value) {
			if d.onOff(v, bufferFields) {
				c.Buffer = buffer
			}
		}},
		{key: CapabilityWS, doc: "WebSocket rooms and sends.", schema: anyOf(boolSchema, nil), sub: wsFields, read: func(d *decoder, v value) {
			if d.onOff(v, wsFields) {
				c.WS = ws
			}
		}},
		{key: CapabilityHTTP, doc: "Outbound HTTP requests.", sub: httpFields, read: func(d *decoder, v value) {
			c.HTTP = &HTTP{}
			n := len(d.problems)
			if isBool(v) {
				d.wrong(v, "is a boolean: name the hosts, such as {hosts: [api.example.com]}")
				return
			}
			d.fields(v, httpFields)
			if len(c.HTTP.Hosts) == 0 && len(d.problems) == n {
				d.wrong(v, "names no host: write hosts: [api.example.com]")
			}
		}},
	}
}

func limitKeys(m *Manifest) []field {
	fields := make([]field, len(limitFields))
	for i, f := range limitFields {
		fields[i] = field{
			key:    f.key,
			doc:    fmt.Sprintf("%s%s. Default %s, at most %s.", strings.ToUpper(f.doc[:1]), f.doc[1:], f.format(f.def), f.format(f.max)),
			schema: f.schema(),
			read:   f.read(m),
		}
	}
	return fields
}

func (f limitField) read(m *Manifest) func(*decoder, value) {
	return func(d *decoder, v value) {
		var n int64
		var ok bool
		switch f.kind {
		case limitTime:
			t, good := d.duration(v)
			n, ok = int64(t), good
		case limitBytes:
			n, ok = d.size(v)
		case limitCount:
			n, ok = d.count(v)
		}
		if !ok {
			return
		}
		if n <= 0 {
			d.wrong(v, "must be more than 0; delete the key for the default, %s", f.format(f.def))
			return
		}
		*f.of(&m.Limits) = n
	}
}
