package host_test

import "fmt"

// childServe is a host in a process of its own, to be killed.
func childServe(args []string) int {
	fmt.Println("todo", args)
	return 0
}
