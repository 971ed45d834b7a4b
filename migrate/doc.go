// Package migrate brings a database to the state that schema files describe, without losing a row that nobody approved.
//
// The files say what is wanted; the package finds out what is there, what it applied the last time, and plans the ordered
// steps between. It knows neither WebAssembly nor the other packages of this module: it works on a [database/sql] handle.
//
//	schema, err := migrate.LoadFS(bundle, "schema")               // schema/<table>.yaml, schema/<connection>/<table>.yaml
//	plan, err := migrate.MakePlan(ctx, conn, schema, migrate.Options{Owner: "blog"})
//	fmt.Print(plan)                                               // steps, SQL, hazards, hash; nothing was written
//	report, err := plan.Apply(ctx, db, migrate.ApplyOptions{Approve: hash, Progress: show})
//
// The parts, for programs that want one of them:
//
//	live, err := migrate.Inspect(ctx, conn)                       // what is there, and what each owner applied
//	want, err := migrate.Shadow(ctx, conn, schema, live)                // the schema as the server itself prints it
//	last, err := migrate.Shadow(ctx, conn, live.Last("blog"), live)     // what this owner applied the last time
//	changes := migrate.Diff(last, live, want)                     // three-way
//	status, err := migrate.Status(ctx, conn, schema, opts)        // MakePlan in a read transaction that is rolled back
//	files, err := migrate.LoadFiles(bundle, "migration")          // *.up.sql and *.down.sql, for Options.Files; Rollback takes a batch back
//	notes := migrate.Lint(schema)                                 // LintAgainst: what a change would cost, without a database
//	files, err := migrate.Snapshot(ctx, conn, opts)               // schema files of what is there
//	kept, err := migrate.Trash(ctx, conn, "blog")                 // what plans took away; Restore brings it back, Purge lets it go
//
// # Contract
//
//   - Inspect, Shadow, Diff, MakePlan and Status write nothing, not even on an empty database.
//   - Only what this package applied for the same owner is its to drop. A foreign table, a hand-made column, index or foreign
//     key is reported in [Changes] and never touched. A table belongs to one owner; a second one gets [ErrOwner].
//   - Apply plans again under the lock, so that counts and definitions are those that the steps will meet. On SQLite the whole plan is
//     one transaction: after an error or a kill the database is as before. Before the commit it is planned once more, and what
//     is not empty is rolled back ([ErrNotConverged]). Concurrent runners: one applies, the others find nothing to do.
//   - A step that drops a column or table, or stops writers for long, needs [ApplyOptions.Approve] equal to [Plan.Hash], else
//     [*ApprovalError]. What is dropped is kept for [Options.TrashTime] and can be restored.
//   - A step by which a row would lose its value (a narrowing, NOT NULL over NULL, duplicates under unique) is refused with the
//     count, up to five keys, and the SQL that finds them: [*RefusedError]. It cannot be approved.
//   - Rows under a new foreign key that have no parent: where a column can be NULL it is set to NULL and [Report.Nulled] lists the
//     old value; where none can, the key waits, the rows stay, and [Report.Incomplete] says so until a later plan finds them clean.
//   - A key to a table outside the schema needs approval, and an expression of a file cannot contain a query: schema files may come
//     from a plugin that is not trusted with its neighbours' tables.
//   - Live different from last applied, where the schema wants something else, is drift: [ErrDrift], unless [Options.Drift] says
//     revert or adopt.
//   - Tables whose name begins with "_odac_" are reserved. Applied definitions are kept in "_odac_schema".
//
// # Column types and their form in SQLite
//
// SQLite gives a column an affinity by its declared name, and NUMERIC affinity turns '1.50' into 1.5 and a long digit string
// into a float. So the names here are chosen for their affinity, and the declared name alone ([sqlite3_column_decltype],
// compared without case, parentheses cut off) tells a reader the type of the value:
//
//	schema type           declared type             affinity  stored as                                  read as
//	increments            INTEGER (primary key)     INTEGER   integer                                    int64
//	bigIncrements         INTEGER (primary key)     INTEGER   integer                                    int64
//	integer               INTEGER                   INTEGER   integer                                    int64
//	integer, unsigned     INTEGER UNSIGNED + CHECK  INTEGER   integer                                    int64
//	bigInteger            BIGINT                    INTEGER   integer                                    int64
//	bigInteger, unsigned  BIGINT UNSIGNED + CHECK   INTEGER   integer                                    int64
//	float                 DOUBLE                    REAL      real                                       float64
//	decimal(10,2)         DECIMAL_TEXT(10,2)        TEXT      '12.50', always with its scale             decimal (string)
//	string(255)           VARCHAR(255)              TEXT      text                                       text
//	nanoid(21)            VARCHAR(21)               TEXT      text; that it is a nanoid is in Schema     text
//	text                  TEXT                      TEXT      text                                       text
//	enum                  TEXT + CHECK (x IN ...)   TEXT      text                                       text
//	boolean               BOOLEAN                   NUMERIC   integer 0 or 1                             bool
//	date                  DATE                      NUMERIC   '2006-01-02'                               time (midnight UTC)
//	time                  TIME                      NUMERIC   '15:04:05.000000000'                       text
//	datetime              DATETIME                  NUMERIC   '2006-01-02T15:04:05.000000000Z'           time (UTC, ns)
//	timestamp             TIMESTAMP                 NUMERIC   '2006-01-02T15:04:05.000000000Z'           time (UTC, ns)
//	binary                BLOB                      BLOB      blob                                       bytes
//	json                  JSON_TEXT                 TEXT      JSON text                                  JSON
//	jsonb                 JSONB_TEXT                TEXT      JSON text                                  JSON
//	uuid                  UUID_TEXT                 TEXT      lower case with dashes                     text
//	specificType          as written                by name   as is                                      by stored class
//	timestamps            created_at and updated_at TIMESTAMP NOT NULL, default now()
//
// Any other declared name (a foreign table): by the stored class, int64, float64, text or bytes. The text of the time types has
// a fixed width ([TimeLayout]), so text order is time order; it never looks like a number, so NUMERIC affinity leaves it alone.
// SQLite itself does not hold a string to its length nor a decimal to its precision: who writes has to ([Column.Length]).
//
// # Column types and their form in MariaDB
//
// INT, BIGINT (UNSIGNED is real), DOUBLE, DECIMAL, VARCHAR, LONGTEXT (text), TINYINT(1) (boolean), DATE, TIME(6), DATETIME(6) in UTC (datetime and
// timestamp: TIMESTAMP ends in 2038), LONGBLOB, JSON, UUID (CHAR(36) before 10.7), VARCHAR(255) with a CHECK (enum), all texts in utf8mb4_bin: case
// counts, spaces at the end do not. now() is the clock of the session, so sessions have to be in UTC, as those of this module are.
//
// There every ALTER TABLE commits by itself, so an Apply that was killed is gone on with by the next one: what it left is no drift, and what
// was approved stays approved. A table has one ALTER for what is done at once (ALGORITHM=INSTANT) and one for the rest, each with
// the ALGORITHM and LOCK=NONE with which the server refuses what would block. What only a copy of the table does, any change of type but a longer
// VARCHAR, needs approval where there are rows. A statement waits a second for a lock, then the plan is made again, until LockTimeout.
// Not there, and refused with the fix: where of an index, an index over text, json or binary, set default, keys between two types.
// The owner of the database needs ALL on it, CREATE TEMPORARY TABLES included. MySQL from 8.0.16 is known to the code and untested.
//
// # Column types and their form in PostgreSQL
//
// Everything is about the connection's current_schema, and so is the lock. Types: increments is an integer or bigint GENERATED BY DEFAULT AS
// IDENTITY; integer unsigned is a bigint whose check leaves 0 to 4294967295; string and nanoid are varchar(n); enum is text with a check;
// datetime and timestamp both are timestamptz (microseconds); the others are the type of their name. An expression may call functions of a
// list only, for others could run a text as a query. An index over json is refused: use jsonb.
//
// On a table with rows NOT NULL goes through a check that is validated while writers go on, keys and checks are added NOT VALID and validated
// afterwards, indexes are built and dropped CONCURRENTLY, backfills run in batches; what writes every row anew needs approval. Such steps are
// in no transaction with others, and the steps of tables of 100,000 rows and more are each in one of their own: after an error the next Apply
// goes on from there. A plan without such steps is one transaction. Who has to wait for a lock gives up after 200 ms and tries again. What a killed run left has
// names that begin with "_odac_", and the next plan goes on with it or takes it away.
//
// # While another revision serves
//
// With Options.Online a rename, or a change of type that is no mere widening, is a [Twin]: the other column is added, sync triggers keep both equal,
// rows are copied in batches. [Apply] with ExpandOnly ends there; with NoContract a changed type also takes the column's name; without either,
// or by a plan that is not Online, the old column goes. What was approved with the first plan stays approved for what is left of it ([Approved]). A plan whose schema is
// that of the old revision gives the name back and keeps both columns; Options.Abandon drops the new one.
//
// # Schema file
//
//	columns:
//	  id:        {type: nanoid, primary: true}
//	  author_id: {type: integer, nullable: false, references: {table: users, column: id}, onDelete: cascade}
//	  slug:      {type: string, length: 100, unique: true, renamedFrom: name}
//	  price:     {type: decimal, precision: 12, scale: 2, default: 0}
//	  seen_at:   {type: timestamp, default: {expression: now()}}
//	  state:     {type: enum, values: [draft, live], nullable: false, default: draft, backfill: live}
//	  times:     {type: timestamps}
//	indexes:
//	  - {columns: [state, slug], unique: true, name: posts_state_slug, where: "state = 'live'"}
//	foreignKeys:                       # keys of more than one column
//	  - {columns: [org, team], references: {table: teams, columns: [org, name]}, onDelete: cascade}
//	seedKey: slug
//	seedMode: insert-only              # or sync
//	seed:
//	  - {slug: hello, state: live}
//
// A type alone is short for a mapping: title: text. Unspecified nullable preserves what is there, and means nullable on add. Unspecified default drops the default. A text
// default is text: now() as an expression is written {expression: now()}. Primary key columns are never null. renamedFrom: null
// says that a new column is not a renamed one. backfill fills a column's NULLs when it is added or becomes NOT NULL.
//
// Unknown keys, types, duplicates, anchors and reserved names are errors that name file and line and say what to write.
package migrate
