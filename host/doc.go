// Package host is the data plane: it loads plugins into sandboxes, links what each was granted, and brings them HTTP
// requests, socket events, schedules, notifications and direct calls. It is the only package that composes the others, and the one
// that a Go program imports to have plugins:
//
//	h, err := host.New(ctx, host.Config{DataDir: "data"})
//	...
//	_, err = h.Deploy(ctx, bundle, host.DeployOptions{Approve: true})
//	...
//	err = h.Serve(ctx, listener) // or http.Handle("/", h)
//
// # The way of one request
//
// Each step is a file; read them in this order.
//
//	ingress.go     limits of the server, the body, the response
//	route.go       host name and path to a deployment, the deployment's pattern to a route
//	deployment.go  the deployment's pointer to the revision that serves now
//	dispatch.go    the event into the guest, the reply out of it
//	guest.go       the revision's code and image, woken if they sleep
//	pool.go        an instance for it: acquire, release, restore or discard
//	share.go       its tenant's share of the host
//	call.go        what the call may use and what it holds open
//	functions.go   the host functions, one file for each host module: functions_db.go, ...
//
// Other events begin in sockets.go, schedule.go and notify.go, and go on at dispatch.go. What changes a plugin or its tables begins in deploy.go,
// migrate.go and trash.go; databases.go says how the databases are.
//
// A plugin made with an Extism PDK has exports instead of events: extism.go calls them and is their extism:host/env, extism_http.go
// routes requests to them, extism_user.go offers them the host functions.
//
// # Promises
//
// Nothing that a guest does panics or blocks the host, or reaches another tenant: every pointer is checked, every wait
// has the call's deadline, every budget is an errno. A deploy that fails leaves the old revision serving; one that
// succeeds loses no request and no socket. An acknowledged buffered write survives kill -9.
//
// Isolation goes by the kernel's account of pages: a program that locks its memory (mlockall) does so before [New].
package host
