package odac

import (
	"strconv"
	"strings"
	"time"

	"github.com/odac-run/odachost/abi"
)

// Version is the SDK's version, as registrations state it.
const Version = "0.1.0"

// Handler answers an HTTP request. What it returns becomes a status: see the package's text on errors.
type Handler func(c *Ctx) error

// Middleware wraps a handler.
type Middleware func(next Handler) Handler

// app is what init functions registered. It is complete when odac_register runs and does not change afterwards.
type app struct {
	hello      abi.Hello
	middleware []Middleware
	routes     []route
	sockets    []socket
	schedules  []schedule
	funcs      []function
	channels   []channel
	problems   []string // what was wrong with the registrations

	servers [abi.EventNotification + 1]server // by kind of event, set by what registers for it, so that only its users link it
}

type route struct {
	abi.Route
	handler Handler
}

type schedule struct {
	abi.Schedule
	run func(Tick) error
}

type function struct {
	name string
	run  func(body []byte) ([]byte, error)
}

var current app

// Get registers a handler for GET and HEAD.
func Get(pattern string, h Handler, mw ...Middleware) { Handle("GET", pattern, h, mw...) }

// Post registers a handler for POST.
func Post(pattern string, h Handler, mw ...Middleware) { Handle("POST", pattern, h, mw...) }

// Put registers a handler for PUT.
func Put(pattern string, h Handler, mw ...Middleware) { Handle("PUT", pattern, h, mw...) }

// Patch registers a handler for PATCH.
func Patch(pattern string, h Handler, mw ...Middleware) { Handle("PATCH", pattern, h, mw...) }

// Delete registers a handler for DELETE.
func Delete(pattern string, h Handler, mw ...Middleware) { Handle("DELETE", pattern, h, mw...) }

// Handle registers a handler for a method ("" is every method) and a pattern in the syntax of net/http.ServeMux without method
// and host: "/posts/{id}", "/files/{path...}", "/{$}". The plugin's mount comes before it. The first middleware is the
// outermost, and those of [Use] are outside of these. It is called from init; what is wrong with it fails the loading.
func Handle(method, pattern string, h Handler, mw ...Middleware) {
	what := "route " + method + " " + pattern
	checkPattern(what, pattern)
	if h == nil {
		problem(what, "has no handler")
		return
	}
	current.servers[abi.EventHTTP] = serveHTTP
	current.routes = append(current.routes, route{abi.Route{Method: method, Pattern: pattern}, wrap(h, mw)})
}

// Use adds middleware around every route, the first outermost, also around those registered before. It is called from init.
func Use(mw ...Middleware) { current.middleware = append(current.middleware, mw...) }

func wrap(h Handler, mw []Middleware) Handler {
	for i := len(mw) - 1; i >= 0; i-- {
		h = mw[i](h)
	}
	return h
}

// Tick is one run of a schedule.
type Tick struct {
	// Name is the schedule's.
	Name string
	// Due is when the run was due, in UTC. The run itself may be later.
	Due time.Time
}

// Every runs a function at an interval of at least a second. The name is unique in the plugin.
func Every(name string, interval time.Duration, run func(Tick) error) {
	if interval < time.Second {
		problem("schedule "+name, "has an interval under a second")
	}
	addSchedule(abi.Schedule{Name: name, Every: interval.Milliseconds()}, run)
}

// Cron runs a function by a line of five fields in UTC (minute, hour, day of month, month, day of week), such as "0 3 * * *".
// The name is unique in the plugin.
func Cron(name, line string, run func(Tick) error) {
	if n := len(strings.Fields(line)); n != 5 && !strings.HasPrefix(line, "@") {
		problem("schedule "+name, "has a cron line of "+strconv.Itoa(n)+" fields instead of 5")
	}
	addSchedule(abi.Schedule{Name: name, Cron: line}, run)
}

func addSchedule(s abi.Schedule, run func(Tick) error) {
	if s.Name == "" || run == nil {
		problem("schedule "+s.Name, "needs a name and a function")
		return
	}
	for _, other := range current.schedules {
		if other.Name == s.Name {
			problem("schedule "+s.Name, "is registered twice")
		}
	}
	current.servers[abi.EventSchedule] = serveSchedule
	current.schedules = append(current.schedules, schedule{s, run})
}

// Func offers a function to the program that embeds the host and to "odachost call". The name is unique in the plugin. What the
// bytes mean is between the two.
func Func(name string, run func(body []byte) ([]byte, error)) {
	if name == "" || run == nil {
		problem("func "+name, "needs a name and a function")
		return
	}
	for _, other := range current.funcs {
		if other.name == name {
			problem("func "+name, "is registered twice")
		}
	}
	current.servers[abi.EventCall] = serveCall
	current.funcs = append(current.funcs, function{name, run})
}

// checkPattern finds what no host would take; the host knows the rest of the syntax.
func checkPattern(what, pattern string) {
	if !strings.HasPrefix(pattern, "/") {
		problem(what, "has a pattern that does not start with a slash")
	}
}

func problem(what, text string) { current.problems = append(current.problems, what+" "+text) }

// HostInfo is what the host said about itself and the plugin when it loaded it.
type HostInfo struct {
	// Host is the version of odachost, Plugin and Version those of the manifest, Tenant whose deployment it is.
	Host, Plugin, Version, Tenant string
	// Mount is the URL path prefix of the plugin without a slash at the end: "" or "/blog".
	Mount string
	// Features are the ABI features that the host offers.
	Features []string
}

// Info is what the host said. It is empty in init functions, which run before the host speaks.
func Info() HostInfo {
	h := &current.hello
	return HostInfo{Host: h.Host, Plugin: h.Plugin, Version: h.Version, Tenant: h.Tenant, Mount: h.Mount, Features: h.Features}
}

// URL is the path that browsers use for a path of this plugin: the mount, then path.
func URL(path string) string { return current.hello.Mount + path }
