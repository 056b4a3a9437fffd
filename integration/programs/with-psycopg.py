# The deeds of driver-programs.test.ts with psycopg 3: what its users do, each followed by what came of it.
import asyncio
import logging
import threading

import psycopg
from deeds import all_at_once, deed, refusals
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

refused = refusals(psycopg.Error)


def connect(**more):
    return psycopg.connect("", **more)


deed("connect")
conn = connect(autocommit=True)
print(conn.pgconn.ssl_in_use, conn.info.encoding, conn.info.transaction_status.name)
conn.execute("CREATE TABLE thing (id int PRIMARY KEY, name text)")

deed("values")
values = [1, 2**40, 1.5, "text 'é'", b"\x00\xff", [1, 2, None], None, True, Jsonb({"k": [1]})]
print(conn.execute("SELECT %s, %s, %s, %s, %s, %s, %s, %s, %s", values).fetchone())
cursor = conn.cursor(binary=True, row_factory=dict_row)
print(cursor.execute("SELECT now() > '2020-01-01' AS new, '1 day'::interval AS i, 12.50::numeric AS n").fetchone())

deed("prepared")
# Five times as it is, then prepared on the server under a name; another client has the same names for other texts.
other = connect(autocommit=True)
for i in range(12):
    mine = conn.execute("SELECT %s::int + 1", [i]).fetchone()
    theirs = other.execute("SELECT %s::int * 2", [i]).fetchone()
    print(mine, theirs, end=" ")
print(conn.execute("SELECT %s::text", ["at once"], prepare=True).fetchone())
for change in ("ALTER TABLE thing ADD more int", "ALTER TABLE thing DROP more"):
    with connect(autocommit=True) as client:
        client.execute("SELECT * FROM thing", prepare=True)
        other.execute(change)
        print(refused(client.execute, "SELECT * FROM thing"))

deed("pool")
# More clients than servers, each in transactions of its own.
def work(who):
    with connect() as client:
        total = 0
        for i in range(20):
            with client.transaction():
                total += client.execute("SELECT %s::int", [who]).fetchone()[0]
                total += client.execute("SELECT %s::int", [i]).fetchone()[0]
        return total


print(all_at_once(work, 8))

deed("transactions")
with connect() as client:
    client.execute("INSERT INTO thing VALUES (1, 'kept')")
    try:
        with client.transaction():
            client.execute("INSERT INTO thing VALUES (2, 'lost')")
            client.execute("INSERT INTO thing VALUES (1, 'twice')")
    except psycopg.errors.UniqueViolation as error:
        print(error.diag.constraint_name, error.diag.table_name, client.info.transaction_status.name)
    with client.transaction():
        client.execute("INSERT INTO thing VALUES (3, 'after')")
    print(client.execute("SELECT count(*) FROM thing").fetchone())
    client.commit()
    client.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
    print(client.execute("SHOW transaction_isolation").fetchone())
    client.rollback()
    print(refused(client.execute, "SELECT 1 / 0"), refused(client.execute, "SELECT 1"))
    client.rollback()
    client.execute("INSERT INTO thing VALUES (4, 'committed')")
print(conn.execute("SELECT * FROM thing ORDER BY id").fetchall())
with connect(autocommit=True) as client:
    client.read_only = True
    with client.transaction():
        print(refused(client.execute, "INSERT INTO thing VALUES (5, 'no')"))

deed("copy")
with conn.cursor().copy("COPY thing FROM STDIN") as copy:
    for i in range(100, 5000):
        copy.write_row((i, f"thing {i}"))
with conn.cursor().copy("COPY (SELECT * FROM thing WHERE id >= 100 ORDER BY id) TO STDOUT") as copy:
    print(sum(len(chunk) for chunk in copy))
with conn.cursor().copy("COPY thing TO STDOUT (FORMAT binary)") as copy:
    copy.set_types(["int4", "text"])
    print(len(list(copy.rows())))


def fail_copy(line):
    with conn.cursor().copy("COPY thing FROM STDIN") as copy:
        copy.write(b"9001\tnever\n")
        if line is None:
            raise ValueError("changed my mind")
        copy.write(line)


print(refused(fail_copy, b"no number\tx\n"))
try:
    print(refused(fail_copy, None))
except ValueError as error:
    # From psycopg 3.2 on the caller's own exception comes through.
    print(error)
print(conn.execute("SELECT count(*) FROM thing").fetchone())

deed("cursors")
with connect() as client:
    with client.cursor("portions") as portions:
        portions.itersize = 100
        portions.execute("SELECT generate_series(1, %s)", [1003])
        print(sum(n for (n,) in portions))
    with client.cursor("scrolled", scrollable=True) as scrolled:
        scrolled.execute("SELECT generate_series(1, 10)")
        scrolled.scroll(5)
        print(scrolled.fetchone())
        scrolled.scroll(0, mode="absolute")
        print(scrolled.fetchmany(3))
with connect(autocommit=True) as client:
    with client.cursor("held", withhold=True) as held:
        held.execute("SELECT generate_series(1, 5)")
        print(held.fetchmany(2), held.fetchall())

deed("notifications")
listener = connect(autocommit=True)
listener.execute("LISTEN news")
with connect() as speaker:
    speaker.execute("NOTIFY news, 'never'")
    speaker.rollback()
    speaker.execute("SELECT pg_notify('news', 'one')")
    speaker.execute("SELECT pg_notify('news', 'two')")
heard = listener.notifies()
print([next(heard).payload for _ in range(2)])
listener.close()

deed("cancel")
for _ in range(3):
    # As often as needed: a cancel that comes before the statement does nothing.
    is_over = threading.Event()

    def keep_cancelling():
        while not is_over.wait(0.05):
            conn.cancel()

    canceller = threading.Thread(target=keep_cancelling)
    canceller.start()
    try:
        print(refused(conn.execute, "SELECT pg_sleep(60)"))
    finally:
        is_over.set()
        canceller.join()
    while True:
        try:
            print(conn.execute("SELECT 'goes on'").fetchone())
            break
        except psycopg.errors.QueryCanceled:
            pass

deed("timeouts")
conn.execute("SET statement_timeout = '200ms'")
print(refused(conn.execute, "SELECT pg_sleep(60)"))
conn.execute("RESET statement_timeout")
with connect() as client, connect() as blocked:
    client.execute("LOCK TABLE thing")
    blocked.execute("SET LOCAL lock_timeout = '50ms'")
    print(refused(blocked.execute, "SELECT * FROM thing"))

deed("pipelines")
with conn.pipeline() as pipeline:
    cursors = [conn.execute("SELECT %s::int", [i]) for i in range(200)]
    pipeline.sync()
    print(sum(cursor.fetchone()[0] for cursor in cursors))


def fail_in_pipeline():
    # Whether the second statement says it or the end of the pipeline depends on how fast the answers come.
    with conn.pipeline():
        conn.execute("SELECT 1 / %s::int", [0])
        conn.execute("INSERT INTO thing VALUES (5999, 'skipped')")


logging.getLogger("psycopg").setLevel(logging.CRITICAL)
print(refused(fail_in_pipeline), conn.execute("SELECT count(*) FROM thing WHERE id = 5999").fetchone())
print(conn.execute("SELECT 'after the pipeline'").fetchone())
conn.cursor().executemany("INSERT INTO thing VALUES (%s, %s)", [(i, "many") for i in range(6000, 6100)])
print(conn.execute("SELECT count(*) FROM thing WHERE name = 'many'").fetchone())

deed("notices and settings")
conn.add_notice_handler(lambda notice: print(notice.severity, notice.message_primary))
conn.execute("DO $$ BEGIN RAISE WARNING 'careful'; END $$")
conn.execute("SET TIME ZONE 'Europe/Berlin'")
print(conn.info.timezone, conn.execute("SELECT '2026-07-01 12:00+00'::timestamptz::text").fetchone())
print(conn.execute("SELECT '2026-07-01 12:00+00'::timestamptz").fetchone()[0].utcoffset())
print(other.execute("SHOW TIME ZONE").fetchone())
with connect(options="-c search_path=pg_catalog -c work_mem=5MB", autocommit=True) as client:
    print(client.execute("SELECT current_setting('search_path'), current_setting('work_mem')").fetchone())

deed("asyncio")


async def together():
    async def one(who):
        async with await psycopg.AsyncConnection.connect("", autocommit=True) as client:
            return [(await (await client.execute("SELECT %s::int", [who + i])).fetchone())[0] for i in range(10)]

    return await asyncio.gather(*(one(who) for who in range(6)))


print(asyncio.run(together()))

deed("leaving in a transaction")
leaving = connect()
leaving.execute("DELETE FROM thing")
leaving.close()
print(conn.execute("SELECT count(*) FROM thing").fetchone())
conn.execute("DROP TABLE thing")
conn.close()
other.close()
deed("end")
