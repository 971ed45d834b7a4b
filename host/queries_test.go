package host_test

import "testing"

// The query language, from a guest to the database and back.
func TestQueries(t *testing.T) { onServers(t, testQueries) }

func testQueries(t *testing.T, server *server) {
	s := server.open(t)
	s.deployFor("red", "app", bundle(t, "app"))
	s.has("POST", "/app/items/one", 201, "")
	s.has("POST", "/app/items/two", 201, "")
	s.want("POST", "/app/hit/one", "", 200, "")
	s.want("GET", "/app/nested/notes", "", 200, "")
	s.want("POST", "/app/notes/one", "", 200, "") // SQL text: what was cached of a sub-query's table is gone
	s.want("GET", "/app/nested/notes", "", 200, "one=1")
	s.want("POST", "/app/notes/one", "", 200, "")
	s.want("GET", "/app/nested/notes", "", 200, "one=2")
	s.has("GET", "/app/nested/secrets", 403, "") // a table within a table that was not granted
	s.has("POST", "/app/batch/1", 200, " 5")
	s.has("POST", "/app/batch/1", 409, "") // and nothing of it is done
	s.has("POST", "/app/batch/2", 200, " 10")
	s.want("POST", "/app/savepoint", "", 200, "")
	s.has("GET", "/app/items/outer", 200, "")
	s.has("GET", "/app/items/inner", 404, "")
	s.want("POST", "/app/many/3000", "", 200, "")
	s.want("GET", "/app/stream", "", 200, "3005")
	s.want("GET", "/app/pages/100", "", 200, "31 3005")
	s.has("GET", "/app/pages/7?next=AAAA", 400, "no such page")
	s.has("GET", "/app/pages/7?next=kaRhYmM", 400, "")
}

func TestSQLText(t *testing.T) { onServers(t, testSQLText) }

func testSQLText(t *testing.T, server *server) {
	s := server.open(t)
	s.deployFor("red", "app", bundle(t, "app"))
	random, catalog := "random()", map[string]string{"sqlite": "sqlite_schema", "postgres": "pg_authid", "mariadb": "mysql.user"}[server.name]
	if server.name == "mariadb" {
		random = "rand()"
	}
	s.has("POST", "/app/items/one", 201, "")
	for text, want := range map[string]string{
		"SELECT name FROM items WHERE hits >= 0":                    "1 0 false",
		"UPDATE items SET hits = hits + 1":                          "0 1 false",
		"SELECT * FROM secrets":                                     "denied: ",
		"SELECT * FROM _odac_migrations":                            "denied: ",
		"SELECT * FROM " + catalog:                                  "denied: ",
		"DELETE FROM notes":                                         "denied: ",
		"UPDATE notes SET body = 'x'":                               "denied: ",
		"WITH items AS (SELECT * FROM secrets) SELECT * FROM items": "denied: ",
		"DROP TABLE items":                                          "invalid: ",
		"COMMIT":                                                    "invalid: ",
		"SELECT 1; SELECT 2":                                        "invalid: ",
		"SELECT nope FROM items":                                    "invalid: ",
	} {
		if _, got := s.do("POST", "/app/sql", text); len(got) < len(want) || got[:len(want)] != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
	const cached = "/app/sql?cache=1"
	text := "SELECT hits FROM items"
	s.want("POST", cached, text, 200, "1 0 false")
	s.want("POST", cached, text, 200, "1 0 true")
	s.want("POST", "/app/hit/one", "", 200, "") // a built write knows what the text read
	s.want("POST", cached, text, 200, "1 0 false")
	s.want("POST", "/app/sql", "UPDATE items SET hits = 0", 200, "0 1 false")
	s.want("POST", cached, text, 200, "1 0 false")
	s.want("POST", cached, "SELECT "+random, 200, "1 0 false")
	s.want("POST", cached, "SELECT "+random, 200, "1 0 false")

	s.deployFor("red", "app", bundle(t, "app", "    raw: true\n", ""))
	s.want("POST", "/app/sql", "SELECT 1", 403, `denied: plugins: app may not run SQL text: add to its plugin.yaml, below capabilities, db: {raw: true}`)
}
