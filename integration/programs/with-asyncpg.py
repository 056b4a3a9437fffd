# The deeds of driver-programs.test.ts with asyncpg: what its users do, each followed by what came of it.
import asyncio
import io

import asyncpg
from deeds import deed


async def refused(work):
    try:
        await work
    except asyncpg.PostgresError as error:
        return f"{type(error).__name__} {error.sqlstate} {error}"
    except asyncio.TimeoutError:
        return "TimeoutError"
    return "not refused"


def plain(rows):
    return [tuple(row) for row in rows]


async def main():
    deed("connect")
    conn = await asyncpg.connect()
    other = await asyncpg.connect()
    print(conn.get_settings().client_encoding, conn.is_in_transaction())
    print(conn._transport.get_extra_info("ssl_object") is not None)
    await conn.execute("CREATE TABLE thing (id int PRIMARY KEY, name text)")

    deed("values")
    values = [1, 2**40, 1.5, "text 'é'", b"\x00\xff", [1, 2, None], None, True]
    types = ["int", "bigint", "float8", "text", "bytea", "int[]", "text", "bool"]
    text = ", ".join(f"${i + 1}::{name}" for i, name in enumerate(types))
    print(plain(await conn.fetch(f"SELECT {text}", *values)))
    print(plain(await conn.fetch("SELECT DATE '2026-01-02', '1 day'::interval, 12.50::numeric, '{\"k\": 1}'::jsonb")))
    # A type of its own: asyncpg asks the catalog what it is.
    await conn.execute("CREATE TYPE mood AS ENUM ('sad', 'happy'); CREATE TYPE pair AS (a int, b mood)")
    print(plain(await conn.fetch("SELECT 'happy'::mood, ROW(1, 'sad')::pair, ARRAY['sad', 'happy']::mood[]")))
    await conn.execute("DROP TYPE pair; DROP TYPE mood")

    deed("prepared")
    mine = await conn.prepare("SELECT $1::int + 1")
    theirs = await other.prepare("SELECT $1::int * 2")
    print([(await mine.fetchval(i), await theirs.fetchval(i)) for i in range(12)])
    print(mine.get_parameters()[0].name, [one.name for one in mine.get_attributes()])
    # Its cache of statements, and a table that changes under it: it prepares anew by itself.
    for change in ("ALTER TABLE thing ADD more int", "ALTER TABLE thing DROP more"):
        await conn.fetch("SELECT * FROM thing")
        await other.execute(change)
        print(await refused(conn.fetch("SELECT * FROM thing")))
    print(await refused(conn.prepare("SELECT nothing FROM nowhere")))

    deed("pool")
    async with asyncpg.create_pool(min_size=2, max_size=8) as pool:

        async def work(who):
            async with pool.acquire() as client, client.transaction():
                total = await client.fetchval("SELECT $1::int", who)
                return total + await client.fetchval("SELECT count(*) FROM generate_series(1, $1)", who)

        print(await asyncio.gather(*(work(who) for who in range(60))))

    deed("transactions")
    async with conn.transaction(isolation="repeatable_read"):
        await conn.execute("INSERT INTO thing VALUES (1, 'kept')")
        try:
            async with conn.transaction():
                await conn.execute("INSERT INTO thing VALUES (2, 'lost')")
                await conn.execute("INSERT INTO thing VALUES (1, 'twice')")
        except asyncpg.UniqueViolationError as error:
            print(error.constraint_name, error.table_name, conn.is_in_transaction())
        await conn.execute("INSERT INTO thing VALUES ($1, $2)", 3, "after")
    print(plain(await conn.fetch("SELECT * FROM thing ORDER BY id")))
    async with conn.transaction(isolation="serializable", readonly=True, deferrable=True):
        print(await conn.fetchval("SHOW transaction_isolation"))
        print(await refused(conn.execute("INSERT INTO thing VALUES (5, 'no')")))

    deed("copy")
    records = [(i, f"thing {i}") for i in range(100, 5000)]
    print(await conn.copy_records_to_table("thing", records=records))
    out = io.BytesIO()
    print(await conn.copy_from_query("SELECT * FROM thing WHERE id >= $1 ORDER BY id", 100, output=out))
    print(out.getvalue() == "".join(f"{i}\t{name}\n" for i, name in records).encode())
    print(await refused(conn.copy_to_table("thing", source=io.BytesIO(b"9001\tnever\nno number\tx\n"))))

    async def broken():
        yield b"9001\tnever\n"
        raise ValueError("changed my mind")

    try:
        await conn.copy_to_table("thing", source=broken())
    except ValueError as error:
        print(error)
    print(await conn.fetchval("SELECT count(*) FROM thing"))

    deed("cursors")
    async with conn.transaction():
        total = 0
        async for (n,) in conn.cursor("SELECT generate_series(1, $1::int)", 1003, prefetch=100):
            total += n
        print(total)
        cursor = await conn.cursor("SELECT generate_series(1, 10)")
        print(await cursor.forward(4), plain(await cursor.fetch(3)), await cursor.fetchrow())

    deed("notifications")
    heard = asyncio.Queue()
    await other.add_listener("news", lambda _conn, _pid, channel, payload: heard.put_nowait((channel, payload)))
    transaction = conn.transaction()
    await transaction.start()
    await conn.execute("NOTIFY news, 'never'")
    await transaction.rollback()
    async with conn.transaction():
        await conn.execute("SELECT pg_notify('news', 'one')")
        await conn.execute("SELECT pg_notify('news', 'two')")
    print([await asyncio.wait_for(heard.get(), 20) for _ in range(2)])
    await other.reset()

    deed("cancel")
    for _ in range(3):
        # asyncpg cancels on the server when its own time-out ends, and waits until that has gone out.
        print(await refused(conn.fetch("SELECT pg_sleep(60)", timeout=0.2)))
        print(await conn.fetchval("SELECT 'goes on'"))
    task = asyncio.ensure_future(conn.execute("SELECT pg_sleep(60)"))
    await asyncio.sleep(0.1)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        print("cancelled", await conn.fetchval("SELECT 'goes on'"))

    deed("timeouts")
    await conn.execute("SET statement_timeout = '200ms'")
    print(await refused(conn.execute("SELECT pg_sleep(60)")))
    await conn.execute("RESET statement_timeout")
    async with conn.transaction():
        await conn.execute("LOCK TABLE thing")
        async with other.transaction():
            await other.execute("SET LOCAL lock_timeout = '50ms'")
            print(await refused(other.fetch("SELECT * FROM thing")))

    deed("many at once")
    await conn.executemany("INSERT INTO thing VALUES ($1, $2)", [(i, "many") for i in range(6000, 6100)])
    print(await conn.fetchval("SELECT count(*) FROM thing WHERE name = 'many'"))
    twice = [(7000, "a"), (7000, "b")]
    print(await refused(conn.executemany("INSERT INTO thing VALUES ($1, $2)", twice)))
    print(await conn.fetchval("SELECT count(*) FROM thing WHERE id = 7000"))

    deed("notices and settings")
    noticed = []
    conn.add_log_listener(lambda _conn, message: noticed.append((message.severity, message.message)))
    await conn.execute("DO $$ BEGIN RAISE WARNING 'careful'; END $$")
    await asyncio.sleep(0)
    print(noticed)
    await conn.execute("SET TIME ZONE 'Europe/Berlin'")
    print(conn.get_settings().TimeZone, await conn.fetchval("SELECT '2026-07-01 12:00+00'::timestamptz::text"))
    print(await other.fetchval("SHOW TIME ZONE"))
    settings = {"search_path": "pg_catalog", "work_mem": "5MB"}
    client = await asyncpg.connect(server_settings=settings)
    print(await client.fetchval("SELECT current_setting('search_path') || current_setting('work_mem')"))
    await client.close()

    deed("leaving in a transaction")
    leaving = await asyncpg.connect()
    await leaving.execute("BEGIN; DELETE FROM thing")
    await leaving.close()
    print(await conn.fetchval("SELECT count(*) FROM thing"))
    await conn.execute("DROP TABLE thing")
    await conn.close()
    await other.close()
    deed("end")


asyncio.run(main())
