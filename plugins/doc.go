// Package plugins is the control plane: what a plugin is, what it may do, in which file it travels and which revision of
// it runs. It decides; package host does. It never loads or runs WebAssembly.
//
// # The manifest
//
// A plugin is a folder with a plugin.yaml, a compiled module and, if it wants them, a schema, migrations and assets:
//
//	name: blog                        # lower case, digits, dashes
//	version: 1.4.0                    # semantic version
//	description: Posts and comments
//	mount: /blog                      # or {path: /blog, hosts: [blog.example.org]}; default /
//	capabilities:                     # what is not listed is not linked
//	  db:
//	    tables:
//	      posts: [select, insert, update, delete]
//	      authors: [select]
//	  cache: true
//	  buffer: {tables: [posts]}
//	  ws: true
//	  http: {hosts: [api.example.com, "*.example.org"]}
//	limits: {time: 500ms, memory: 64MiB}
//	isolation: fresh                  # or warm, single
//	config:
//	  title: My blog                  # the operator may override it
//	  api_token:                      # no value: the operator must give it
//
// [ParseManifest] is strict: an unknown key, a wrong type, a bad value is a [*ManifestError] that gives file, line, column,
// key and what to do, for every problem at once. plugin.schema.json describes the file to editors; each key's
// meaning is the text of [Manifest], [Capabilities] and [Limits].
//
// # The bundle
//
// [Pack] turns such a folder into one .odac file, a [Bundle]: a zip archive that any tool can list, with fixed names, times and
// order, so that the same content gives the same bytes and the same [Digest]. [Open] reads it, from anybody: sizes, counts,
// names and ratios are checked before memory is taken for them, and each error says what is wrong with the file.
//
// # Grants
//
// A [Grants] answers the host's questions at run time: may this plugin select from that table, call that host name, link that
// host module? [DiffGrants] says what one revision may do that another may not. A deployment that adds something needs the
// operator's word, and fails with an [*ApprovalError] without it.
//
// # The store
//
// A [Store] is a local folder with bundles, by digest, and deployments. A [Revision] is a bundle in it and never changes. A
// [Deployment] says which revision a tenant runs under a name, and which it ran before. Records are replaced
// atomically: kill -9 at any moment leaves the old or the new state. Several processes may use one store at once.
//
//	store, err := plugins.OpenStore(dir, plugins.StoreOptions{})
//	bundle, err := plugins.Folder("./blog").Load(ctx)
//	revision, err := store.Put(ctx, bundle)
//	deployment, err := store.Deploy(ctx, plugins.DeployRequest{
//		Tenant: "default", Name: "blog", Digest: revision.Digest, By: "ann", Note: "first", Approve: true,
//	})
//	deployment, err = store.Rollback(ctx, plugins.RollbackRequest{Tenant: "default", Name: "blog", By: "ann"})
//
// # Concurrency
//
// Manifests, grants, bundles and revisions are immutable once made and may be shared; a [Store] may be used from any number of
// goroutines and processes.
package plugins
