# The deeds of driver-programs.test.ts with psycopg2: what its users do, each followed by what came of it.
import io
import select
import threading

import psycopg2
import psycopg2.extras
import psycopg2.pool
from deeds import all_at_once, deed, refusals
from psycopg2 import extensions

refused = refusals(psycopg2.Error)


def connect(autocommit=False):
    conn = psycopg2.connect("")
    conn.autocommit = autocommit
    return conn


def ask(conn, sql, values=None):
    with conn.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.fetchall() if cursor.description else cursor.statusmessage


deed("connect")
conn = connect(autocommit=True)
print(conn.info.ssl_in_use, conn.encoding, conn.info.transaction_status)
ask(conn, "CREATE TABLE thing (id int PRIMARY KEY, name text)")

deed("values")
row = [1, 2**40, 1.5, "text 'é'", psycopg2.Binary(b"\x00\xff"), [1, 2, None], None, True, psycopg2.extras.Json({"k": 1})]
[got] = ask(conn, "SELECT %s, %s, %s, %s, %s, %s, %s, %s, %s::jsonb", row)
print([bytes(value) if isinstance(value, memoryview) else value for value in got])
print(ask(conn, "SELECT DATE '2026-01-02', '1 day'::interval, 12.50::numeric"))

deed("prepared")
# psycopg2 has no prepared statements of its own: its users write them in SQL.
other = connect(autocommit=True)
ask(conn, "PREPARE ask AS SELECT $1::int + 1")
ask(other, "PREPARE ask AS SELECT $1::int * 2")
print([(ask(conn, "EXECUTE ask(%s)", [i]), ask(other, "EXECUTE ask(%s)", [i])) for i in range(12)])
ask(conn, "DEALLOCATE ask")
print(refused(ask, conn, "EXECUTE ask(1)"), ask(other, "EXECUTE ask(1)"), ask(other, "DEALLOCATE ALL"))

deed("pool")
pool = psycopg2.pool.ThreadedConnectionPool(2, 8, "")


def work(who):
    total = 0
    client = pool.getconn()
    for i in range(20):
        with client:
            total += ask(client, "SELECT %s", [who])[0][0] + ask(client, "SELECT %s", [i])[0][0]
    pool.putconn(client)
    return total


print(all_at_once(work, 8))
pool.closeall()

deed("transactions")
client = connect()
ask(client, "INSERT INTO thing VALUES (1, 'kept')")
ask(client, "SAVEPOINT s")
ask(client, "INSERT INTO thing VALUES (2, 'lost')")
print(refused(ask, client, "INSERT INTO thing VALUES (1, 'twice')"), refused(ask, client, "SELECT 1"))
ask(client, "ROLLBACK TO SAVEPOINT s")
ask(client, "INSERT INTO thing VALUES (3, 'after')")
client.commit()
print(ask(client, "SELECT * FROM thing ORDER BY id"))
client.rollback()
client.set_session(isolation_level="SERIALIZABLE", readonly=True)
print(ask(client, "SHOW transaction_isolation"), refused(ask, client, "INSERT INTO thing VALUES (5, 'no')"))
client.rollback()
client.set_session(isolation_level="READ COMMITTED", readonly=False)

deed("copy")
lines = "".join(f"{i}\tthing {i}\n" for i in range(100, 5000))
with client.cursor() as cursor:
    cursor.copy_expert("COPY thing FROM STDIN", io.StringIO(lines))
    client.commit()
    out = io.StringIO()
    cursor.copy_expert("COPY (SELECT * FROM thing WHERE id >= 100 ORDER BY id) TO STDOUT", out)
    print(cursor.rowcount, out.getvalue() == lines)
    print(refused(cursor.copy_expert, "COPY thing FROM STDIN", io.StringIO("9001\tnever\nno number\tx\n")))
    client.rollback()
print(ask(client, "SELECT count(*) FROM thing"))


class Broken(io.StringIO):
    def read(self, size=-1):
        raise ValueError("changed my mind")


with client.cursor() as cursor:
    print(refused(cursor.copy_expert, "COPY thing FROM STDIN", Broken()).split("\n")[0][:40])
client.rollback()
print(ask(client, "SELECT count(*) FROM thing"))
client.commit()

deed("cursors")
with client.cursor("portions") as portions:
    portions.itersize = 100
    portions.execute("SELECT generate_series(1, %s)", [1003])
    print(sum(n for (n,) in portions))
with client.cursor("held", withhold=True, scrollable=True) as held:
    held.execute("SELECT generate_series(1, 10)")
    print(held.fetchmany(2))
    client.commit()
    held.scroll(3)
    print(held.fetchmany(2))
    held.scroll(0, mode="absolute")
    print(held.fetchall())
client.commit()

deed("notifications")
listener = connect(autocommit=True)
ask(listener, "LISTEN news")
ask(client, "NOTIFY news, 'never'")
client.rollback()
ask(client, "SELECT pg_notify('news', 'one')")
ask(client, "SELECT pg_notify('news', 'two')")
client.commit()
while len(listener.notifies) < 2:
    select.select([listener], [], [], 10)
    listener.poll()
print([notify.payload for notify in listener.notifies])
listener.close()

deed("cancel")
for _ in range(3):
    is_over = threading.Event()

    def keep_cancelling():
        while not is_over.wait(0.05):
            conn.cancel()

    canceller = threading.Thread(target=keep_cancelling)
    canceller.start()
    try:
        print(refused(ask, conn, "SELECT pg_sleep(60)"))
    finally:
        is_over.set()
        canceller.join()
    while True:
        try:
            print(ask(conn, "SELECT 'goes on'"))
            break
        except extensions.QueryCanceledError:
            pass

deed("timeouts")
ask(conn, "SET statement_timeout = '200ms'")
print(refused(ask, conn, "SELECT pg_sleep(60)"))
ask(conn, "RESET statement_timeout")
blocked = connect()
ask(client, "LOCK TABLE thing")
ask(blocked, "SET LOCAL lock_timeout = '50ms'")
print(refused(ask, blocked, "SELECT * FROM thing"))
client.rollback()
blocked.close()

deed("many at once")
with conn.cursor() as cursor:
    psycopg2.extras.execute_values(cursor, "INSERT INTO thing VALUES %s", [(i, "many") for i in range(6000, 6100)])
    psycopg2.extras.execute_batch(cursor, "UPDATE thing SET name = %s WHERE id = %s", [("more", i) for i in range(6000, 6050)])
print(ask(conn, "SELECT name, count(*) FROM thing WHERE id >= 6000 GROUP BY name ORDER BY name"))
print(ask(conn, "SELECT 1; SELECT 2; SELECT 'last'"))

deed("notices and settings")
ask(conn, "DO $$ BEGIN RAISE WARNING 'careful'; END $$")
print(conn.notices)
ask(conn, "SET TIME ZONE 'Europe/Berlin'")
print(conn.get_parameter_status("TimeZone"), ask(conn, "SELECT '2026-07-01 12:00+00'::timestamptz::text"))
print(ask(other, "SHOW TIME ZONE"))
conn.set_client_encoding("LATIN1")
print(conn.encoding, ask(conn, "SELECT 'é'"), ask(other, "SHOW client_encoding"))

deed("large objects")
large = client.lobject(0, "wb")
large.write(b"0123456789" * 5000)
oid = large.oid
large.close()
client.commit()
large = client.lobject(oid, "rb")
large.seek(49_990)
print(large.read(), large.tell())
large.unlink()
client.commit()

deed("leaving in a transaction")
ask(client, "DELETE FROM thing")
client.close()
print(ask(conn, "SELECT count(*) FROM thing"))
ask(conn, "DROP TABLE thing")
conn.close()
other.close()
deed("end")
