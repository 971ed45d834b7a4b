package database

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/odac-run/odachost/abi"
)

func TestHostilePostgres(t *testing.T) { hostileServer(t, fixtures[1], postgresAttempts()) }

func TestHostileMariaDB(t *testing.T) { hostileServer(t, fixtures[2], mariadbAttempts()) }

// what is there of each tenant, by its owner: every table that the plugin may not write, and the names of everything.
func (h *textHouse) fingerprint(t testing.TB) string {
	t.Helper()
	hash := sha256.New()
	for _, db := range []*DB{h.red, h.blue} {
		for _, name := range db.Catalog().Tables() {
			if db == h.blue || hostileGrants[name] == "" && name != "log" {
				fmt.Fprintln(hash, name, table(must(t, db, &abi.Query{Table: name})))
			}
		}
		std, err := db.SQL()
		if err != nil {
			t.Fatal(err)
		}
		names, err := rawRows(t.Context(), std, per(db,
			"SELECT string_agg(relname, ' ' ORDER BY relname) || (SELECT string_agg(proname, ' ' ORDER BY proname) FROM pg_proc WHERE pronamespace = current_schema()::regnamespace) FROM pg_class WHERE relnamespace = current_schema()::regnamespace",
			"SELECT group_concat(table_name ORDER BY table_name) FROM information_schema.tables WHERE table_schema = database()"))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(hash, names)
	}
	for _, file := range []string{"/tmp/odac-x", "/tmp/x"} {
		_, err := os.Stat(file)
		fmt.Fprintln(hash, err)
	}
	return fmt.Sprintf("%x", hash.Sum(nil))
}

// hostileServer runs a table of attempts as the plugin, by themselves and in a transaction.
func hostileServer(t *testing.T, f fixture, attempts []attempt) {
	h := newTextHouse(t, f)
	for _, db := range []*DB{h.red, h.blue} {
		must(t, db, insert("log", "what", canary))
		must(t, db, insert("notes", "id", 1, "body", canary))
		must(t, db, insert("everything", "t", canary))
	}
	before := h.fingerprint(t)
	texts := map[string]bool{}
	for _, a := range attempts {
		if texts[a.sql] {
			t.Errorf("twice: %.200s", a.sql)
		}
		texts[a.sql] = true
		h.try(t, "alone", h.plugin, a)
		tx := begin(t, h.plugin, false)
		h.try(t, "in a transaction", tx, a)
		if _, err := query(tx, &abi.Query{Table: "users"}); err != nil && errnoOf(err) != abi.ErrnoClosed {
			t.Errorf("%.200s: the transaction is left %v", a.sql, err)
		}
		_ = tx.Rollback() // returns nil
		if got := h.fingerprint(t); got != before {
			t.Fatalf("%.200s: something changed that was not granted", a.sql)
		}
	}
	t.Logf("%d attempts, and %d as queries", len(attempts), hostileQueries(t, h))
	if got := h.fingerprint(t); got != before {
		t.Fatal("a query changed something that was not granted")
	}
	h.leftovers(t)
}

func (h *textHouse) try(t *testing.T, where string, run querier, a attempt) {
	t.Helper()
	deadline := 20 * time.Second // what must succeed has time
	if slices.Contains(a.want, abi.ErrnoTimeout) {
		deadline = 250 * time.Millisecond
	}
	limited, cancel := context.WithTimeout(context.Background(), deadline)
	start := time.Now()
	out, err := attack(limited, h.plugin, run, a)
	cancel()
	h.check(t, fmt.Sprintf("%.200s (%s)", a.sql, where), out, err, a.want)
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("%.200s: took %v", a.sql, took)
	}
}

func (h *textHouse) check(t *testing.T, text string, out []byte, err error, want []abi.Errno) {
	t.Helper()
	if strings.Contains(string(out), canary) || err != nil && strings.Contains(err.Error(), canary) || strings.Contains(string(out), "hidden") {
		t.Errorf("%s: leaks: %.300q %v", text, out, err)
	}
	if got := errnoOf(err); got != abi.ErrnoOK && !slices.Contains(want, got) || got == abi.ErrnoOK && len(want) > 0 {
		t.Errorf("%s: got %v (%v), want one of %v", text, got.Kind(), err, want)
	}
	if err != nil && (strings.Contains(err.Error(), "SQLSTATE") || strings.Contains(err.Error(), "odac_red") || strings.Contains(err.Error(), "Error 1")) {
		t.Errorf("%s: the driver speaks: %v", text, err)
	}
}

// leftovers looks at every connection of the plugin's pool for what an attempt may have left there.
func (h *textHouse) leftovers(t *testing.T) {
	t.Helper()
	fresh, err := h.red.As(h.plugin.cfg.User, h.plugin.cfg.Password, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer fresh.Close()
	clean, err := fresh.engine.acquire(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	want := sessionState(t, clean)
	clean.release()
	var held []session
	for range 4 {
		s, err := h.plugin.engine.acquire(t.Context(), false)
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, s)
		if got := sessionState(t, s); got != want {
			t.Errorf("a connection was left as\n%s\nwant\n%s", got, want)
		}
	}
	for _, s := range held {
		s.release()
	}
}

// sessionState is all that a statement can leave in a session.
func sessionState(t *testing.T, s session) string {
	t.Helper()
	var out []string
	switch c := s.(type) {
	case *postgresConn:
		for _, sql := range []string{
			"SELECT count(*) FROM pg_prepared_statements WHERE name !~ '^odac[0-9]+$'",
			"SELECT count(*) FROM pg_cursors",
			"SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory'",
			"SELECT count(*) FROM pg_listening_channels()",
			"SELECT count(*) FROM pg_class WHERE relnamespace = pg_my_temp_schema()",
			"SELECT current_user || session_user",
			"SELECT string_agg(name || '=' || setting, ' ' ORDER BY name) FROM pg_settings WHERE source IN ('session', 'client', 'interactive')",
			"SELECT count(*) FROM pg_largeobject_metadata",
		} {
			r := c.conn.ExecParams(t.Context(), sql, nil, nil, nil, nil).Read()
			if r.Err != nil {
				t.Fatalf("%s: %v", sql, r.Err)
			}
			out = append(out, string(r.Rows[0][0]))
		}
	case *mysqlConn:
		for _, sql := range []string{
			"SELECT group_concat(VARIABLE_NAME, '=', VARIABLE_VALUE ORDER BY VARIABLE_NAME) FROM information_schema.SESSION_VARIABLES WHERE VARIABLE_NAME NOT IN ('TIMESTAMP', 'PSEUDO_THREAD_ID', 'LAST_INSERT_ID', 'IDENTITY', 'RAND_SEED1', 'RAND_SEED2', 'ERROR_COUNT', 'WARNING_COUNT', 'LAST_GTID', 'INSERT_ID', 'IN_TRANSACTION')",
			"SELECT @@in_transaction",
			"SELECT group_concat(VARIABLE_NAME) FROM information_schema.USER_VARIABLES WHERE VARIABLE_NAME NOT LIKE 'odac%'",
			"SELECT is_used_lock('x')",
			"SELECT is_used_lock('odac_tenancy')",
			"SELECT current_user()",
			"SELECT database()",
		} {
			var text string
			if err := c.link.text(sql, &text); err != nil {
				t.Fatalf("%s: %v", sql, err)
			}
			out = append(out, text)
		}
	}
	return strings.Join(out, "\n")
}
