package plugins

import (
	"fmt"
	"strconv"
	"time"
)

// Limits are a plugin's budgets. In a [Manifest] zero means "not set"; [Limits.Resolve] gives what holds. None can be switched
// off, but fuel, which is off unless set. Budgets "per call" start anew with each event.
type Limits struct {
	// Time is the wall time of one call. Key time, default 1s, at most 30s.
	Time time.Duration
	// StartTime is the wall time of start-up: _initialize, odac_register, warm-up. Key start, default 10s, at most 1m.
	StartTime time.Duration
	// MemoryBytes is an instance's linear memory. Key memory, default 64MiB, at most 1GiB.
	MemoryBytes int64
	// BodyBytes is a request's body. Key body, default 1MiB, at most 15MiB.
	BodyBytes int64
	// ResponseBytes is a response's body. Key response, default 4MiB, at most 15MiB.
	ResponseBytes int64
	// MaxInstances is how many calls run at once. Key instances, default 16, at most 256. Isolation single has one.
	MaxInstances int64
	// QueueTime is how long a call waits for an instance before it is refused as busy. Key queue, default 1s, at most 30s.
	QueueTime time.Duration
	// MaxWaiting is how many calls wait for an instance; more are refused at once. Key waiting, default 1024, at most 65536.
	MaxWaiting int64
	// MaxHostCalls is the host calls of one call. Key host_calls, default 10000, at most 1000000.
	MaxHostCalls int64
	// MaxFuel is what one call may use of what an instruction costs about one of. It is counted exactly, the same on every
	// machine, which makes a plugin slower, so that without a limit it is not counted. Key fuel, default none, at most 1000000000000.
	MaxFuel int64
	// MaxRows is the rows that one query answers. Key rows, default 10000, at most 65536.
	MaxRows int64
	// ResultBytes is what one query answers. Key result, default 4MiB, at most 15MiB.
	ResultBytes int64
	// MaxRequests is the outbound requests of one call. Key requests, default 8, at most 256.
	MaxRequests int64
	// MaxLogLines is the log lines of one call. Key log_lines, default 100, at most 10000.
	MaxLogLines int64
	// MaxSockets is the plugin's open WebSockets. Key sockets, default 1024, at most 1048576.
	MaxSockets int64
	// MessageBytes is one WebSocket message, either way. Key message, default 64KiB, at most 15MiB.
	MessageBytes int64
	// VarBytes is what the variables of an Extism plugin hold together. Key vars, default 1MiB, at most 15MiB.
	VarBytes int64
}

// LimitError says that a plugin asks for more than the operator allows.
type LimitError struct {
	// Key is the key below limits in plugin.yaml.
	Key string
	// Want and Max are as written in plugin.yaml, such as "2GiB".
	Want, Max string
}

// Error implements error.
func (e *LimitError) Error() string {
	return fmt.Sprintf("plugins: limits.%s: %s is more than this host allows (%s): lower it in plugin.yaml, or have the operator raise the host's maximum",
		e.Key, e.Want, e.Max)
}

type limitKind int

const (
	limitTime limitKind = iota
	limitBytes
	limitCount
)

// largestBytes keeps a payload and what frames it within abi.MaxMessageBytes.
const largestBytes = 15 << 20

// limitField is a row of the table from which parsing, defaults, maxima and the JSON schema come.
type limitField struct {
	key      string
	kind     limitKind
	def, max int64
	doc      string
	of       func(*Limits) *int64
}

var limitFields = []limitField{
	{"time", limitTime, int64(time.Second), int64(30 * time.Second), "wall time of one call", func(l *Limits) *int64 { return (*int64)(&l.Time) }},
	{"start", limitTime, int64(10 * time.Second), int64(time.Minute), "wall time of start-up", func(l *Limits) *int64 { return (*int64)(&l.StartTime) }},
	{"memory", limitBytes, 64 << 20, 1 << 30, "linear memory of an instance", func(l *Limits) *int64 { return &l.MemoryBytes }},
	{"body", limitBytes, 1 << 20, largestBytes, "body of a request", func(l *Limits) *int64 { return &l.BodyBytes }},
	{"response", limitBytes, 4 << 20, largestBytes, "body of a response", func(l *Limits) *int64 { return &l.ResponseBytes }},
	{"instances", limitCount, 16, 256, "calls that run at once", func(l *Limits) *int64 { return &l.MaxInstances }},
	{"queue", limitTime, int64(time.Second), int64(30 * time.Second), "wait for a free instance", func(l *Limits) *int64 { return (*int64)(&l.QueueTime) }},
	{"waiting", limitCount, 1024, 1 << 16, "calls that wait for an instance", func(l *Limits) *int64 { return &l.MaxWaiting }},
	{"host_calls", limitCount, 10_000, 1_000_000, "host calls of one call", func(l *Limits) *int64 { return &l.MaxHostCalls }},
	{"fuel", limitCount, 0, 1_000_000_000_000, "fuel of one call, about one for an instruction (none: not counted)", func(l *Limits) *int64 { return &l.MaxFuel }},
	{"rows", limitCount, 10_000, 1 << 16, "rows that one query answers", func(l *Limits) *int64 { return &l.MaxRows }},
	{"result", limitBytes, 4 << 20, largestBytes, "bytes that one query answers", func(l *Limits) *int64 { return &l.ResultBytes }},
	{"requests", limitCount, 8, 256, "outbound requests of one call", func(l *Limits) *int64 { return &l.MaxRequests }},
	{"log_lines", limitCount, 100, 10_000, "log lines of one call", func(l *Limits) *int64 { return &l.MaxLogLines }},
	{"sockets", limitCount, 1024, 1 << 20, "open WebSockets of the plugin", func(l *Limits) *int64 { return &l.MaxSockets }},
	{"message", limitBytes, 64 << 10, largestBytes, "one WebSocket message", func(l *Limits) *int64 { return &l.MessageBytes }},
	{"vars", limitBytes, 1 << 20, largestBytes, "variables of an Extism plugin", func(l *Limits) *int64 { return &l.VarBytes }},
}

func (f limitField) format(v int64) string {
	if v == 0 {
		return "none"
	}
	switch f.kind {
	case limitTime:
		return FormatDuration(time.Duration(v))
	case limitBytes:
		return FormatSize(v)
	}
	return strconv.FormatInt(v, 10)
}

// DefaultLimits are the limits of a plugin that sets none, on a host whose operator sets none.
func DefaultLimits() Limits {
	var l Limits
	for _, f := range limitFields {
		*f.of(&l) = f.def
	}
	return l
}

// MaxLimits are the most that a plugin may ask for, on a host whose operator says nothing else.
func MaxLimits() Limits {
	var l Limits
	for _, f := range limitFields {
		*f.of(&l) = f.max
	}
	return l
}

// Resolve gives the limits that hold: what l sets, else what def sets, else [DefaultLimits]; and never more than maxima sets,
// else [MaxLimits]. A limit of l above the maximum is a [*LimitError]; a default above it is lowered.
func (l Limits) Resolve(def, maxima Limits) (Limits, error) {
	for _, f := range limitFields {
		most := *f.of(&maxima)
		if most <= 0 {
			most = f.max
		}
		v := f.of(&l)
		switch {
		case *v > most:
			return Limits{}, &LimitError{Key: f.key, Want: f.format(*v), Max: f.format(most)}
		case *v > 0:
			continue
		}
		if *v = *f.of(&def); *v <= 0 {
			*v = f.def
		}
		if *v == 0 && *f.of(&maxima) > 0 {
			*v = most // without a limit it would be more
		}
		*v = min(*v, most)
	}
	return l, nil
}
