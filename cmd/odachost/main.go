package main

import (
	"os"

	"github.com/odac-run/odachost/cmd/odachost/internal/cli"
)

func main() { os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
