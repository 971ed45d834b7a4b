package database

import (
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/odac-run/odachost/abi"
)

// postgresTenancy makes tenants as the configuration's user, who becomes a member of each owner, so that it may grant what they own.
type postgresTenancy struct{ cfg Config }

func (postgresTenancy) longest() (place, role int) { return 63, 63 }

// maxRoleConns bounds the connections of one role, below its pool on a few nodes.
const maxRoleConns = 64

// in runs f in one transaction, alone among all hosts.
func (t postgresTenancy) in(ctx context.Context, f func(tx pgx.Tx) error) error {
	return t.tx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock(7236823416)"); err != nil {
			return err
		}
		return f(tx)
	})
}

func (t postgresTenancy) sizes(ctx context.Context) (map[string]int64, error) {
	sizes := map[string]int64{}
	return sizes, t.tx(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT n.nspname::text, sum(pg_total_relation_size(c.oid))::int8 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
			WHERE n.nspname LIKE 'odac\_%' AND c.relkind IN ('r', 'm') GROUP BY 1`)
		if err != nil {
			return err
		}
		var name string
		var bytes int64
		_, err = pgx.ForEachRow(rows, []any{&name, &bytes}, func() error {
			sizes[name] = bytes
			return nil
		})
		return err
	})
}

// tx runs f in one transaction.
func (t postgresTenancy) tx(ctx context.Context, f func(tx pgx.Tx) error) error {
	cfg, err := t.cfg.connConfig()
	if err != nil {
		return err
	}
	cfg.RuntimeParams["search_path"] = "pg_catalog, pg_temp"
	cfg.RuntimeParams["standard_conforming_strings"] = "on" // see quoteText
	cfg.DefaultQueryExecMode = pgx.QueryExecModeDescribeExec
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // was used once
	return pgx.BeginFunc(ctx, conn, f)
}

func execAll(ctx context.Context, tx pgx.Tx, statements ...string) error {
	for _, sql := range statements {
		if _, err := tx.Exec(ctx, sql); err != nil {
			return err
		}
	}
	return nil
}

func (t postgresTenancy) quote(name string) string { return standard{}.quote(name) }

// login makes a role that can log in and nothing else, or gives the one that is there that password.
func (t postgresTenancy) login(ctx context.Context, tx pgx.Tx, role, password string) error {
	var there bool
	if err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", role).Scan(&there); err != nil {
		return err
	}
	verifier, err := scramVerifier(password)
	if err != nil {
		return err
	}
	verb := "CREATE"
	if there {
		verb = "ALTER"
	}
	err = execAll(ctx, tx, fmt.Sprintf("%s ROLE %s LOGIN NOCREATEDB NOCREATEROLE NOINHERIT CONNECTION LIMIT %d PASSWORD %s", verb, t.quote(role), maxRoleConns, literal(verifier)))
	if err != nil {
		return err
	}
	var super bool // only such a user can bound this, and the role itself cannot take it back
	if err := tx.QueryRow(ctx, "SELECT rolsuper FROM pg_roles WHERE rolname = CURRENT_USER").Scan(&super); err != nil || !super {
		return err
	}
	return execAll(ctx, tx, fmt.Sprintf("ALTER ROLE %s SET temp_file_limit = '%dkB'", t.quote(role), maxTempBytes>>10))
}

// maxTempBytes bounds what a plugin's statements on a server sort and join on its disk, or in its memory, by session.
const maxTempBytes = 256 << 20

// scramVerifier is what the server keeps of a password (RFC 5803). Sent so, the password is in no log of statements.
func scramVerifier(password string) (string, error) {
	const iterations = 4096
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // never fails: it ends the program instead
	salted, err := pbkdf2.Key(sha256.New, password, salt, iterations, sha256.Size)
	if err != nil {
		return "", err
	}
	mac := func(text string) []byte {
		h := hmac.New(sha256.New, salted)
		h.Write([]byte(text))
		return h.Sum(nil)
	}
	stored := sha256.Sum256(mac("Client Key"))
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", iterations, b64(salt), b64(stored[:]), b64(mac("Server Key"))), nil
}

func (t postgresTenancy) add(ctx context.Context, place, owner, password string) error {
	return t.in(ctx, func(tx pgx.Tx) error {
		if err := t.login(ctx, tx, owner, password); err != nil {
			return err
		}
		return execAll(ctx, tx,
			"GRANT "+t.quote(owner)+" TO CURRENT_USER",
			"CREATE SCHEMA IF NOT EXISTS "+t.quote(place)+" AUTHORIZATION "+t.quote(owner),
			// What PostgreSQL gives to everybody in a database: room for temporary tables, and functions by which sessions reach each other or
			// the disk.
			"REVOKE TEMPORARY ON DATABASE "+t.quote(t.cfg.Database)+" FROM PUBLIC",
			"REVOKE CREATE ON SCHEMA public FROM PUBLIC",
			`DO $$ DECLARE f regprocedure; BEGIN
				FOR f IN SELECT p.oid FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = 'pg_catalog'
					AND (p.proname LIKE 'lo\_%' OR p.proname IN ('lowrite', 'loread') OR p.proname LIKE 'pg\_advisory%' OR p.proname LIKE 'pg\_try\_advisory%' OR p.proname IN ('pg_notify', 'pg_sleep', 'pg_sleep_for', 'pg_sleep_until', 'pg_logical_emit_message', 'pg_export_snapshot', 'ts_stat')
						OR p.proname LIKE 'query\_to\_xml%' OR p.proname LIKE 'table\_to\_xml%' OR p.proname LIKE 'schema\_to\_xml%' OR p.proname LIKE 'database\_to\_xml%' OR p.proname LIKE 'cursor\_to\_xml%')
					AND has_function_privilege('public', p.oid, 'EXECUTE')
				LOOP EXECUTE 'REVOKE EXECUTE ON FUNCTION ' || f || ' FROM PUBLIC'; END LOOP;
				FOR f IN SELECT p.oid FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = 'pg_catalog'
					AND (p.proname LIKE 'pg\_advisory%' OR p.proname LIKE 'pg\_try\_advisory%')
				LOOP EXECUTE 'GRANT EXECUTE ON FUNCTION ' || f || ' TO `+t.quote(owner)+`'; END LOOP; -- migrations take turns by them
			EXCEPTION WHEN insufficient_privilege THEN RAISE WARNING 'odachost: only a superuser can take them from everybody'; END $$`,
		)
	})
}

// members are the roles that may use a schema, but for its owner.
func (t postgresTenancy) members(ctx context.Context, tx pgx.Tx, place string) ([]string, error) {
	rows, err := tx.Query(ctx, `SELECT r.rolname::text FROM pg_namespace n, aclexplode(n.nspacl) a JOIN pg_roles r ON r.oid = a.grantee
		WHERE n.nspname = $1 AND a.privilege_type = 'USAGE' AND a.grantee <> n.nspowner`, place)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// drop ends a role's sessions and drops it with all that it may do.
func (t postgresTenancy) drop(ctx context.Context, tx pgx.Tx, role string) error {
	var there bool
	err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", role).Scan(&there)
	if err != nil || !there {
		return err
	}
	if err := execAll(ctx, tx, "GRANT "+t.quote(role)+" TO CURRENT_USER"); err != nil { // who may then end its sessions
		return err
	}
	if _, err := tx.Exec(ctx, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1", role); err != nil {
		return err
	}
	return execAll(ctx, tx, "DROP OWNED BY "+t.quote(role)+" CASCADE", "DROP ROLE "+t.quote(role))
}

func (t postgresTenancy) remove(ctx context.Context, place, owner string) error {
	return t.in(ctx, func(tx pgx.Tx) error {
		roles, err := t.members(ctx, tx, place)
		if err != nil {
			return err
		}
		if err := execAll(ctx, tx, "DROP SCHEMA IF EXISTS "+t.quote(place)+" CASCADE"); err != nil {
			return err
		}
		for _, role := range append(roles, owner) {
			if err := t.drop(ctx, tx, role); err != nil {
				return err
			}
		}
		return nil
	})
}

func (t postgresTenancy) revoke(ctx context.Context, place, role string) error {
	return t.in(ctx, func(tx pgx.Tx) error {
		if err := t.drop(ctx, tx, role); err != nil { // its policies too
			return err
		}
		return t.openTables(ctx, tx, place)
	})
}

func (t postgresTenancy) grant(ctx context.Context, place, role, password string, tables []tableGrant) error {
	return t.in(ctx, func(tx pgx.Tx) error {
		if err := t.login(ctx, tx, role, password); err != nil {
			return err
		}
		to := " TO " + t.quote(role)
		if err := execAll(ctx, tx,
			"REVOKE ALL ON ALL TABLES IN SCHEMA "+t.quote(place)+" FROM "+t.quote(role),
			"REVOKE ALL ON ALL SEQUENCES IN SCHEMA "+t.quote(place)+" FROM "+t.quote(role),
			"GRANT USAGE ON SCHEMA "+t.quote(place)+to,
		); err != nil {
			return err
		}
		policies := map[string]string{}
		for i := range tables {
			g := &tables[i]
			var there bool
			name := t.quote(place) + "." + t.quote(g.table.Name)
			if err := tx.QueryRow(ctx, "SELECT to_regclass($1) IS NOT NULL", name).Scan(&there); err != nil {
				return err
			}
			words := g.privileges(t.quote)
			if !there || words == "" {
				continue
			}
			if g.policy != "" {
				policies[g.table.Name] = g.policy
			}
			if err := execAll(ctx, tx, "GRANT "+words+" ON "+name+to); err != nil {
				return err
			}
			if err := t.grantKeys(ctx, tx, name, to, g); err != nil {
				return err
			}
		}
		return t.setPolicies(ctx, tx, place, role, policies)
	})
}

// grantKeys lets who inserts draw numbers from the table's sequences, and read the key that was made.
func (t postgresTenancy) grantKeys(ctx context.Context, tx pgx.Tx, name, to string, g *tableGrant) error {
	if _, inserts := g.columns[abi.VerbInsert]; !inserts {
		return nil
	}
	rows, err := tx.Query(ctx, `SELECT d.objid::regclass::text, a.attname::text FROM pg_depend d JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
		JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S' WHERE d.classid = 'pg_class'::regclass AND d.refobjid = $1::text::regclass AND d.deptype IN ('a', 'i')`, name)
	if err != nil {
		return err
	}
	type generated struct{ Sequence, Column string }
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[generated])
	if err != nil {
		return err
	}
	for _, g := range list {
		if err := execAll(ctx, tx, "GRANT USAGE ON SEQUENCE "+g.Sequence+to, "GRANT SELECT ("+t.quote(g.Column)+") ON "+name+to); err != nil {
			return err
		}
	}
	return nil
}
