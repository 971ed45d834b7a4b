package plugins

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// GrantChange is a difference in what two revisions may do.
type GrantChange struct {
	// Added is true for something that the new revision may do and the old one may not, false for the reverse.
	Added bool
	// Capability is the capability's name, Detail what of it: "posts: insert", "posts: select id, title where owner = $tenant",
	// "channel orders: listen", "api.example.com", "raw"; empty is the capability as such.
	Capability, Detail string
}

// String is "+ db posts: insert" or "- cache".
func (c GrantChange) String() string {
	sign := "- "
	if c.Added {
		sign = "+ "
	}
	return sign + strings.TrimSpace(c.Capability+" "+c.Detail)
}

// DiffGrants says what changes in what a plugin may do: what is added first, then what goes, each in the order db, cache, buffer,
// ws, http. A nil manifest may do nothing. What a wider pattern of the old one covered is not new. A policy that says all that the old one said
// is not wider; any other is.
func DiffGrants(from, to *Manifest) []GrantChange {
	changes := uncovered(to, from)
	for i := range changes {
		changes[i].Added = true
	}
	return append(changes, uncovered(from, to)...)
}

// uncovered is what m may do and other may not.
func uncovered(m, other *Manifest) []GrantChange {
	changes := uncoveredTables(m.tables(), other.tables())
	have := grantList(other)
	for _, c := range grantList(m) {
		if !covered(c, have) {
			changes = append(changes, c)
		}
	}
	return changes
}

// addedOnly are the changes that need approval.
func addedOnly(changes []GrantChange) []GrantChange {
	return slices.DeleteFunc(changes, func(c GrantChange) bool { return !c.Added })
}

// grantList is everything that a manifest allows, one by one, but for tables.
func grantList(m *Manifest) []GrantChange {
	if m == nil {
		return nil
	}
	var list []GrantChange
	add := func(capability, detail string) {
		list = append(list, GrantChange{Capability: capability, Detail: detail})
	}
	c := m.Capabilities
	if c.DB != nil {
		if c.DB.Raw {
			add(CapabilityDB, "raw")
		}
		for _, channel := range slices.Sorted(maps.Keys(c.DB.Channels)) {
			for _, verb := range c.DB.Channels[channel] {
				add(CapabilityDB, fmt.Sprintf("channel %s: %s", channel, verb))
			}
		}
	}
	if c.Cache != nil {
		add(CapabilityCache, "")
	}
	if c.Buffer != nil {
		addEach(add, CapabilityBuffer, c.Buffer.Tables, true)
	}
	if c.WS != nil {
		add(CapabilityWS, "")
		for _, origin := range c.WS.Origins {
			add(CapabilityWS, "origin "+origin)
		}
	}
	if c.HTTP != nil {
		addEach(add, CapabilityHTTP, c.HTTP.Hosts, false)
	}
	return list
}

// addEach adds each detail; none is the capability as a whole where that means all.
func addEach(add func(capability, detail string), capability string, details []string, all bool) {
	if len(details) == 0 && all {
		add(capability, "")
	}
	for _, d := range details {
		add(capability, d)
	}
}

// covered says whether c, or something that includes it, is in the list.
func covered(c GrantChange, list []GrantChange) bool {
	for _, have := range list {
		if have.Capability != c.Capability {
			continue
		}
		switch {
		case have.Detail == c.Detail:
			return true
		case c.Capability == CapabilityBuffer && have.Detail == "":
			return true
		case c.Capability == CapabilityHTTP && patternCovers(have.Detail, c.Detail):
			return true
		case c.Capability == CapabilityWS && strings.HasPrefix(have.Detail, "origin ") && strings.HasPrefix(c.Detail, "origin ") &&
			patternCovers(have.Detail[len("origin "):], c.Detail[len("origin "):]):
			return true
		}
	}
	return false
}

// patternCovers says whether every name that b matches is matched by a.
func patternCovers(a, b string) bool {
	if a == "*" || a == b {
		return true
	}
	suffix, wild := strings.CutPrefix(a, "*")
	return wild && strings.HasSuffix(b, suffix)
}
