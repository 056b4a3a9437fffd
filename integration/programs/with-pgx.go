// The deeds of driver-programs.test.ts with Go's pgx: what its users do, each followed by what came of it.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgconn"
	"github.com/jackc/pgx/v4"
	"github.com/jackc/pgx/v4/pgxpool"
)

var background = context.Background()

func deed(name string) { fmt.Println("==", name) }

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func connect(more string) *pgx.Conn {
	conn, err := pgx.Connect(background, more)
	must(err)
	return conn
}

type asker interface {
	Query(ctx context.Context, sql string, values ...interface{}) (pgx.Rows, error)
}

// ask returns the rows, or what the error is.
func ask(conn asker, sql string, values ...interface{}) string {
	rows, err := conn.Query(background, sql, values...)
	if err != nil {
		return refused(err)
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		row, err := rows.Values()
		if err != nil {
			return refused(err)
		}
		all = append(all, fmt.Sprint(row...))
	}
	if rows.Err() != nil {
		return refused(rows.Err())
	}
	return "[" + strings.Join(all, ", ") + "]"
}

func refused(err error) string {
	var said *pgconn.PgError
	if errors.As(err, &said) {
		return said.Code + " " + said.Message + " " + said.ConstraintName
	}
	if err != nil {
		return "not by the server"
	}
	return "not refused"
}

func sessions(conn, other *pgx.Conn) {
	deed("values")
	fmt.Println(ask(conn, "SELECT $1::int, $2::bigint, $3::float8, $4::text, $5::bytea, $6::bool, $7::text",
		1, int64(1)<<40, 1.5, "text 'é'", []byte{0, 255}, true, nil))
	var numbers []int32
	must(conn.QueryRow(background, "SELECT $1::int[]", []int32{1, 2}).Scan(&numbers))
	fmt.Println(numbers)

	deed("prepared")
	// pgx prepares whatever it is asked, under the same names in every client.
	for i := 0; i < 12; i++ {
		fmt.Print(ask(conn, "SELECT $1::int + 1", i), ask(other, "SELECT $1::int * 2", i), " ")
	}
	_, err := conn.Prepare(background, "mine", "SELECT $1::text")
	must(err)
	fmt.Println(ask(conn, "mine", "by name"))
	must(conn.Deallocate(background, "mine"))
	for _, change := range []string{"ALTER TABLE thing ADD more int", "ALTER TABLE thing DROP more"} {
		ask(conn, "SELECT * FROM thing")
		_, err := other.Exec(background, change)
		must(err)
		fmt.Println(ask(conn, "SELECT * FROM thing"), ask(conn, "SELECT * FROM thing"))
	}

	deed("pool")
	config, err := pgxpool.ParseConfig("")
	must(err)
	config.MaxConns = 8
	pool, err := pgxpool.ConnectConfig(background, config)
	must(err)
	var group sync.WaitGroup
	totals := make([]int, 60)
	for who := range totals {
		group.Add(1)
		go func(who int) {
			defer group.Done()
			must(pool.BeginFunc(background, func(tx pgx.Tx) error {
				var one, two int
				must(tx.QueryRow(background, "SELECT $1::int", who).Scan(&one))
				must(tx.QueryRow(background, "SELECT count(*) FROM generate_series(1, $1)", who).Scan(&two))
				totals[who] = one + two
				return nil
			}))
		}(who)
	}
	group.Wait()
	pool.Close()
	fmt.Println(totals)
}

func transactions(conn *pgx.Conn) {
	deed("transactions")
	must(conn.BeginTxFunc(background, pgx.TxOptions{IsoLevel: pgx.RepeatableRead}, func(tx pgx.Tx) error {
		_, err := tx.Exec(background, "INSERT INTO thing VALUES ($1, $2)", 1, "kept")
		must(err)
		inner, err := tx.Begin(background)
		must(err)
		_, err = inner.Exec(background, "INSERT INTO thing VALUES (2, 'lost')")
		must(err)
		_, err = inner.Exec(background, "INSERT INTO thing VALUES (1, 'twice')")
		fmt.Println(refused(err), ask(inner, "SELECT 1"))
		must(inner.Rollback(background))
		_, err = tx.Exec(background, "INSERT INTO thing VALUES (3, 'after')")
		return err
	}))
	fmt.Println(ask(conn, "SELECT * FROM thing ORDER BY id"))
	readOnly, err := conn.BeginTx(background, pgx.TxOptions{IsoLevel: pgx.Serializable, AccessMode: pgx.ReadOnly})
	must(err)
	fmt.Println(ask(readOnly, "SHOW transaction_isolation"), ask(readOnly, "INSERT INTO thing VALUES (5, 'no')"))
	must(readOnly.Rollback(background))
}

func data(conn *pgx.Conn) {
	deed("copy")
	var rows [][]interface{}
	var lines strings.Builder
	for i := 100; i < 5000; i++ {
		rows = append(rows, []interface{}{i, fmt.Sprint("thing ", i)})
		fmt.Fprintf(&lines, "%d\tthing %d\n", i, i)
	}
	count, err := conn.CopyFrom(background, pgx.Identifier{"thing"}, []string{"id", "name"}, pgx.CopyFromRows(rows))
	must(err)
	var out bytes.Buffer
	_, err = conn.PgConn().CopyTo(background, &out, "COPY (SELECT * FROM thing WHERE id >= 100 ORDER BY id) TO STDOUT")
	must(err)
	fmt.Println(count, out.String() == lines.String())
	_, err = conn.CopyFrom(background, pgx.Identifier{"thing"}, []string{"id", "name"}, pgx.CopyFromRows(rows))
	fmt.Println(refused(err))
	_, err = conn.PgConn().CopyFrom(background, strings.NewReader("9001\tnever\nno number\tx\n"), "COPY thing FROM STDIN")
	fmt.Println(refused(err), ask(conn, "SELECT count(*) FROM thing"))

	deed("cursors")
	must(conn.BeginFunc(background, func(tx pgx.Tx) error {
		_, err := tx.Exec(background, "DECLARE portions SCROLL CURSOR FOR SELECT generate_series(1, 10)")
		must(err)
		fmt.Println(ask(tx, "FETCH 4 FROM portions"), ask(tx, "FETCH BACKWARD 2 FROM portions"), ask(tx, "FETCH ALL FROM portions"))
		return nil
	}))

	deed("pipelines")
	batch := &pgx.Batch{}
	for i := 0; i < 200; i++ {
		batch.Queue("SELECT $1::int", i)
	}
	results := conn.SendBatch(background, batch)
	total := 0
	for i := 0; i < 200; i++ {
		var n int
		must(results.QueryRow().Scan(&n))
		total += n
	}
	must(results.Close())
	failing := &pgx.Batch{}
	failing.Queue("INSERT INTO thing VALUES (8000, 'undone')")
	failing.Queue("SELECT 1 / $1::int", 0)
	failing.Queue("SELECT 'skipped'")
	fmt.Println(total, refused(conn.SendBatch(background, failing).Close()), ask(conn, "SELECT count(*) FROM thing WHERE id = 8000"))
}

func asides(conn, other *pgx.Conn) {
	deed("notifications")
	_, err := other.Exec(background, "LISTEN news")
	must(err)
	tx, err := conn.Begin(background)
	must(err)
	_, err = tx.Exec(background, "NOTIFY news, 'never'")
	must(err)
	must(tx.Rollback(background))
	ask(conn, "SELECT pg_notify('news', 'one')")
	ask(conn, "SELECT pg_notify('news', 'two')")
	for i := 0; i < 2; i++ {
		heard, err := other.WaitForNotification(background)
		must(err)
		fmt.Println(heard.Channel, heard.Payload)
	}
	_, err = other.Exec(background, "UNLISTEN *")
	must(err)

	deed("cancel")
	for round := 0; round < 3; round++ {
		over := make(chan bool)
		var canceller sync.WaitGroup
		canceller.Add(1)
		go func() {
			defer canceller.Done()
			for {
				select {
				case <-over:
					return
				case <-time.After(50 * time.Millisecond):
					must(conn.PgConn().CancelRequest(background))
				}
			}
		}()
		fmt.Println(ask(conn, "SELECT pg_sleep(60)::text"))
		close(over)
		canceller.Wait()
		after := "57014"
		for strings.HasPrefix(after, "57014") {
			after = ask(conn, "SELECT 'goes on'")
		}
		fmt.Println(after)
	}
	// A context that ends closes the connection; whoever comes next is served.
	leaving := connect("")
	short, cancel := context.WithTimeout(background, 300*time.Millisecond)
	_, err = leaving.Exec(short, "SELECT pg_sleep(60)")
	cancel()
	fmt.Println(refused(err), leaving.IsClosed(), ask(conn, "SELECT 'served'"))

	deed("timeouts")
	_, err = conn.Exec(background, "SET statement_timeout = '200ms'")
	must(err)
	fmt.Println(ask(conn, "SELECT pg_sleep(60)::text"))
	_, err = conn.Exec(background, "RESET statement_timeout")
	must(err)
	locker, err := other.Begin(background)
	must(err)
	_, err = locker.Exec(background, "LOCK TABLE thing")
	must(err)
	blocked, err := conn.Begin(background)
	must(err)
	_, err = blocked.Exec(background, "SET LOCAL lock_timeout = '50ms'")
	must(err)
	fmt.Println(ask(blocked, "SELECT * FROM thing"))
	must(blocked.Rollback(background))
	must(locker.Rollback(background))

	deed("notices and settings")
	_, err = conn.Exec(background, "SET TIME ZONE 'Europe/Berlin'")
	must(err)
	fmt.Println(conn.PgConn().ParameterStatus("TimeZone"), ask(conn, "SELECT '2026-07-01 12:00+00'::timestamptz::text"), ask(other, "SHOW TIME ZONE"))
	client := connect("application_name=deeds search_path=pg_catalog")
	fmt.Println(ask(client, "SELECT current_setting('application_name'), current_setting('search_path')"))
	must(client.Close(background))
	config, err := pgx.ParseConfig("")
	must(err)
	config.OnNotice = func(_ *pgconn.PgConn, notice *pgconn.Notice) { fmt.Println(notice.Severity, notice.Message) }
	config.PreferSimpleProtocol = true
	client, err = pgx.ConnectConfig(background, config)
	must(err)
	_, err = client.Exec(background, "DO $$ BEGIN RAISE WARNING 'careful'; END $$")
	must(err)
	fmt.Println(ask(client, "SELECT $1::int", 7))
	must(client.Close(background))
}

func main() {
	deed("connect")
	conn, other := connect(""), connect("")
	fmt.Println(conn.Config().TLSConfig != nil, conn.PgConn().ParameterStatus("client_encoding"))
	_, err := conn.Exec(background, "CREATE TABLE thing (id int PRIMARY KEY, name text)")
	must(err)
	sessions(conn, other)
	transactions(conn)
	data(conn)
	asides(conn, other)

	deed("leaving in a transaction")
	leaving := connect("")
	_, err = leaving.Exec(background, "BEGIN; DELETE FROM thing")
	must(err)
	must(leaving.Close(background))
	fmt.Println(ask(conn, "SELECT count(*) FROM thing"))
	_, err = conn.Exec(background, "DROP TABLE thing")
	must(err)
	must(conn.Close(background))
	must(other.Close(background))
	deed("end")
}
