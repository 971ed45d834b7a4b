package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"time"
)

// load is what one wrk run measured.
type load struct {
	rps    float64
	p99    time.Duration
	errors int
}

var (
	rpsLine   = regexp.MustCompile(`Requests/sec:\s+([0-9.]+)`)
	p99Line   = regexp.MustCompile(`99%\s+([0-9.]+)(us|ms|s|m)`)
	badLine   = regexp.MustCompile(`Non-2xx or 3xx responses: (\d+)`)
	socketErr = regexp.MustCompile(`Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)`)
)

// wrk loads a URL with 64 connections from two threads.
func wrk(ctx context.Context, url string, duration time.Duration) (load, error) {
	if err := needWrk(ctx); err != nil {
		return load{}, err
	}
	cmd := exec.CommandContext(ctx, "wrk", "-t2", "-c64", "-d"+duration.String(), "--latency", url)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return load{}, fmt.Errorf("wrk %s: %w: %s", url, err, out)
	}
	return parseWrk(out)
}

func parseWrk(out []byte) (load, error) {
	var l load
	m := rpsLine.FindSubmatch(out)
	p := p99Line.FindSubmatch(out)
	if m == nil || p == nil {
		return l, fmt.Errorf("wrk printed something else: %s", out)
	}
	l.rps, _ = strconv.ParseFloat(string(m[1]), 64)
	p99, err := time.ParseDuration(string(bytes.Join(p[1:3], nil)))
	if err != nil {
		return l, err
	}
	l.p99 = p99
	for _, lines := range []*regexp.Regexp{badLine, socketErr} {
		if m := lines.FindSubmatch(out); m != nil {
			for _, n := range m[1:] {
				failed, _ := strconv.Atoi(string(n))
				l.errors += failed
			}
		}
	}
	return l, nil
}

// needWrk installs wrk where it is missing and this user may.
func needWrk(ctx context.Context) error {
	if _, err := exec.LookPath("wrk"); err == nil {
		return nil
	}
	fmt.Fprintln(os.Stderr, "bench: installing wrk")
	for _, args := range [][]string{{"apt-get", "update", "-qq"}, {"apt-get", "install", "-y", "-qq", "wrk"}} {
		if out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("wrk is missing and cannot be installed: %w: %s", err, out)
		}
	}
	return nil
}
