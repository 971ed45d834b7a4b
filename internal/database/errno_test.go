package database

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/ncruces/go-sqlite3"

	"github.com/odac-run/odachost/abi"
)

// Every code of SQLite becomes an errno, and none of its words comes through.
func TestErrnoIsTotal(t *testing.T) {
	for code := 1; code <= 28; code++ {
		primary := sqlite3.ErrorCode(code)
		want, ok := sqliteErrnos[primary]
		if !ok {
			t.Errorf("code %d is not mapped", code)
		}
		for sub := range 41 {
			extended := sqlite3.ExtendedErrorCode(code | sub<<8)
			for _, err := range []error{extended, fmt.Errorf("wrapped: %w", extended)} {
				var got *abi.Error
				if !errors.As(sqliteError(context.Background(), err, "posts"), &got) {
					t.Fatalf("%v is no abi error", err)
				}
				if got.Errno != want && primary != sqlite3.CONSTRAINT && extended != sqlite3.BUSY_SNAPSHOT {
					t.Errorf("%d.%d: %s, want %s", code, sub, got.Errno.Kind(), want.Kind())
				}
				if strings.Contains(got.Text, "sqlite") || got.Text == "" {
					t.Errorf("%d.%d: %q", code, sub, got.Text)
				}
			}
		}
	}
	for _, c := range []struct {
		err  error
		want abi.Errno
	}{
		{sqlite3.CONSTRAINT_UNIQUE, abi.ErrnoConflict},
		{sqlite3.CONSTRAINT_TRIGGER, abi.ErrnoConflict},
		{sqlite3.CONSTRAINT_DATATYPE, abi.ErrnoInvalid},
		{errNumber, abi.ErrnoInvalid},
		{sqlite3.BUSY_SNAPSHOT, abi.ErrnoRetry},
		{errors.New("something else"), abi.ErrnoInternal},
		{abi.NewError(abi.ErrnoDenied, "x"), abi.ErrnoDenied},
	} {
		if got := errnoOf(sqliteError(context.Background(), c.err, "posts")); got != c.want {
			t.Errorf("%v: %s, want %s", c.err, got.Kind(), c.want.Kind())
		}
	}
	if sqliteError(context.Background(), nil, "posts") != nil {
		t.Error("nil is an error")
	}
}

func TestConfig(t *testing.T) {
	for _, c := range []struct {
		cfg  Config
		want string
	}{
		{Config{}, "needs filename"},
		{Config{Filename: ":memory:"}, "not a file"},
		{Config{Type: "oracle"}, `type "oracle"`},
		{Config{Type: "pg", Host: "h"}, "needs database"},
		{Config{URL: "pg://u:secret@h:1/d?sslmode=prefer"}, `tls "prefer"`},
		{Config{URL: "pg://u:secret@h:1/d?tls=disable&sslrootcert=x"}, "tls is disabled"},
		{Config{URL: "pg://u:secret@h/d?sslkey=x"}, "go together"},
		{Config{URL: "pg://h/d"}, "needs user"},
		{Config{URL: "pg://u:secret@h/d?target_session_attrs=any"}, `"target_session_attrs" is unknown`},
		{Config{URL: "pg://u:secret@127.0.0.1:1/d"}, "connect"},
		{Config{URL: "ftp://h/d"}, `scheme "ftp"`},
		{Config{URL: "postgres://u:secret@h:port/%zz"}, "not a URL"},
		{Config{Type: "sqlite", URL: "mysql://h/d"}, "give one of them"},
		{Config{Filename: "x", ConnectionLimit: -1}, "connectionLimit"},
		{Config{Filename: "/nowhere/at/all/x.db"}, "create it"},
	} {
		db, err := Open(context.Background(), c.cfg)
		if err == nil {
			_ = db.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%+v: %v", c.cfg, err)
		}
	}
	for url, file := range map[string]string{"sqlite:data/x.db": "data/x.db", "sqlite:///var/x.db": "/var/x.db", "file:a%20b.db": "a b.db"} {
		if cfg, err := (Config{URL: url}).withDefaults(); err != nil || cfg.Filename != file {
			t.Errorf("%s: %q, %v", url, cfg.Filename, err)
		}
	}
}
