package cache

// Stored counts the entries of the memory tier itself.
func (c *Cache) Stored() int {
	c.entries.CleanUp()
	return c.entries.EstimatedSize()
}
