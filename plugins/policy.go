package plugins

import (
	"slices"
	"strings"

	"github.com/odac-run/odachost/abi"
)

// Policy is a condition on the rows of one table, as the where of a table in plugin.yaml has it. It is one comparison, or the and or the or of
// several policies.
type Policy struct {
	// Op is abi.CondAnd or abi.CondOr over Parts, at least two, or what Column is compared by: eq, ne, lt, le, gt, ge, in, not in, null, not null.
	Op     abi.CondOp
	Parts  []*Policy
	Column string
	Values []PolicyValue
}

// PolicyValue is what a column is compared with: a value, or a variable whose value is text.
type PolicyValue struct {
	// Variable is "tenant", "plugin" or "config." and a key; empty is Value.
	Variable string
	Value    abi.Value
}

// The variables of policies. One of the configuration is "config." and a key.
const (
	variableTenant = "tenant"
	variablePlugin = "plugin"
	variableConfig = "config."
)

// policyWords are the operators as they are written.
var policyWords = map[abi.CondOp]string{
	abi.CondEq: "=", abi.CondNe: "<>", abi.CondLt: "<", abi.CondLe: "<=", abi.CondGt: ">", abi.CondGe: ">=",
	abi.CondIn: "in", abi.CondNotIn: "not in", abi.CondNull: "is null", abi.CondNotNull: "is not null",
}

// String is the policy in one spelling. Nil is "".
func (p *Policy) String() string {
	if p == nil {
		return ""
	}
	var b strings.Builder
	p.write(&b, abi.CondOr)
	return b.String()
}

// write puts parentheses around an or within an and.
func (p *Policy) write(b *strings.Builder, within abi.CondOp) {
	switch p.Op {
	case abi.CondAnd, abi.CondOr:
		nested := p.Op == abi.CondOr && within == abi.CondAnd
		if nested {
			b.WriteByte('(')
		}
		for i, part := range p.Parts {
			if i > 0 {
				b.WriteString(map[abi.CondOp]string{abi.CondAnd: " and ", abi.CondOr: " or "}[p.Op])
			}
			part.write(b, p.Op)
		}
		if nested {
			b.WriteByte(')')
		}
		return
	}
	b.WriteString(p.Column + " " + policyWords[p.Op])
	switch p.Op {
	case abi.CondNull, abi.CondNotNull:
	case abi.CondIn, abi.CondNotIn:
		list := make([]string, len(p.Values))
		for i, v := range p.Values {
			list[i] = v.String()
		}
		b.WriteString(" (" + strings.Join(list, ", ") + ")")
	default:
		b.WriteString(" " + p.Values[0].String())
	}
}

// String is the value as it is written in a policy.
func (v PolicyValue) String() string {
	switch {
	case v.Variable != "":
		return "$" + v.Variable
	case v.Value.Kind() == abi.KindText:
		return "'" + strings.ReplaceAll(v.Value.AsText(), "'", "''") + "'"
	}
	return v.Value.String()
}

// conjuncts are the policies that must all hold, each in its one spelling.
func (p *Policy) conjuncts() []string {
	switch {
	case p == nil:
		return nil
	case p.Op != abi.CondAnd:
		return []string{p.String()}
	}
	var list []string
	for _, part := range p.Parts {
		list = append(list, part.conjuncts()...)
	}
	return list
}

// implies says, where it is plain to see, that rows of which p is true are rows of which other is: p says all that other says, and perhaps
// more.
func (p *Policy) implies(other *Policy) bool {
	have := p.conjuncts()
	return !slices.ContainsFunc(other.conjuncts(), func(c string) bool { return !slices.Contains(have, c) })
}

// variables calls f with the name of each variable.
func (p *Policy) variables(f func(name string)) {
	for _, part := range p.Parts {
		part.variables(f)
	}
	for _, v := range p.Values {
		if v.Variable != "" {
			f(v.Variable)
		}
	}
}

// Conditions is the policy as conditions of a query, postfix, with the values that the variables have for a deployment of that name, whose
// configuration is that of [Manifest.Configure]. Nil is none.
func (p *Policy) Conditions(tenant, deployment string, config map[string]string) []abi.Cond {
	if p == nil {
		return nil
	}
	if p.Op == abi.CondAnd || p.Op == abi.CondOr {
		var out []abi.Cond
		for _, part := range p.Parts {
			out = append(out, part.Conditions(tenant, deployment, config)...)
		}
		return append(out, abi.Cond{Op: p.Op, N: uint32(len(p.Parts))})
	}
	c := abi.Cond{Op: p.Op, Column: p.Column}
	for _, v := range p.Values {
		value := v.Value
		switch key, ofConfig := strings.CutPrefix(v.Variable, variableConfig); {
		case v.Variable == variableTenant:
			value = abi.Text(tenant)
		case v.Variable == variablePlugin:
			value = abi.Text(deployment)
		case ofConfig:
			value = abi.Text(config[key])
		}
		c.Values = append(c.Values, value)
	}
	return []abi.Cond{c}
}
