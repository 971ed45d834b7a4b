package migrate_test

import (
	"context"
	"fmt"
	"log"
	"testing/fstest"

	"github.com/ncruces/go-sqlite3/driver"

	"github.com/odac-run/odachost/migrate"
)

func Example() {
	ctx := context.Background()
	db, err := driver.Open("file::memory:")
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1) // one in-memory database
	bundle := fstest.MapFS{"schema/posts.yaml": {Data: []byte("columns:\n  id: {type: nanoid, primary: true}\n  title: text\n")}}

	schema, err := migrate.LoadFS(bundle, "schema")
	if err != nil {
		log.Fatal(err)
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		log.Fatal(err)
	}
	plan, err := migrate.Status(ctx, conn, schema, migrate.Options{Owner: "blog"})
	if err != nil {
		log.Fatal(err)
	}
	conn.Close() // Apply takes its own
	fmt.Print(plan)
	report, err := plan.Apply(ctx, db, migrate.ApplyOptions{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("applied:", report.Applied)
	// Output:
	// plan 65419672d87002b8 for blog on sqlite: 2 steps
	//   1. create table: posts, 2 columns
	//        CREATE TABLE "posts" (
	//          "id" VARCHAR(21) NOT NULL,
	//          "title" TEXT,
	//          PRIMARY KEY ("id")
	//        );
	//   2. record: definitions of blog in _odac_schema
	// applied: true
}
