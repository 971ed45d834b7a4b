package plugins

func deployChild([]string) int { return 0 }
func putChild([]string) int    { return 0 }
func hammerChild([]string) int { return 0 }
