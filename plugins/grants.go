package plugins

// GrantChange is a difference in what two revisions may do.
type GrantChange struct {
	// Added is true for something that the new revision may do and the old one may not, false for the reverse.
	Added bool
	// Capability is the capability's name, Detail what of it: "posts: insert", "api.example.com", "raw"; empty is the capability
	// as such.
	Capability, Detail string
}

// String is "+ db posts: insert" or "- cache".
func (c GrantChange) String() string {
	sign := "- "
	if c.Added {
		sign = "+ "
	}
	if c.Detail == "" {
		return sign + c.Capability
	}
	return sign + c.Capability + " " + c.Detail
}
