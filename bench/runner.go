package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/odac-run/odachost/host"
)

// runner is to package testkit what a test is: it has servers started.
type runner struct {
	testing.TB // nil: testkit uses no more than is below

	ctx context.Context
}

// failed is what a runner panics with where a test would stop.
type failed struct{ error }

// database runs what starts a server.
func (t *runner) database(start func() host.DatabaseConfig) (cfg host.DatabaseConfig, err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case failed:
			err = r.error
		default:
			panic(r)
		}
	}()
	return start(), nil
}

func (t *runner) Helper() {}

func (t *runner) Context() context.Context { return t.ctx }

func (t *runner) Failed() bool { return false }

func (t *runner) Logf(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

func (t *runner) Fatal(args ...any) { panic(failed{errors.New(fmt.Sprint(args...))}) }

func (t *runner) Fatalf(format string, args ...any) { panic(failed{fmt.Errorf(format, args...)}) }

func (t *runner) Skipf(format string, args ...any) { t.Fatalf(format, args...) }
