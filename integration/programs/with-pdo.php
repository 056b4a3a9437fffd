<?php

// The deeds of driver-programs.test.ts with PHP: PDO, and the pgsql functions where PDO has nothing for it.

function deed(string $name): void
{
    echo "== $name\n";
}

function connect(array $options = []): PDO
{
    $host = getenv('PGHOST');
    $dsn = "pgsql:host=$host;port=" . getenv('PGPORT') . ';dbname=' . getenv('PGDATABASE');
    return new PDO($dsn, getenv('PGUSER'), getenv('PGPASSWORD'), $options + [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION]);
}

function ask(PDO $db, string $sql, array $values = []): string
{
    $statement = $db->prepare($sql);
    $statement->execute($values);
    return json_encode($statement->fetchAll(PDO::FETCH_NUM));
}

function refused(callable $work): string
{
    try {
        $work();
    } catch (PDOException $error) {
        return $error->getCode() . ' ' . strtok($error->errorInfo[2] ?? $error->getMessage(), "\n");
    }
    return 'not refused';
}

deed('connect');
$db = connect();
$other = connect();
$raw = pg_connect('', PGSQL_CONNECT_FORCE_NEW);
echo ask($db, 'SELECT 1'), pg_parameter_status($raw, 'client_encoding'), "\n";
$db->exec('CREATE TABLE thing (id int PRIMARY KEY, name text)');

deed('values');
$types = 'SELECT ?::int, ?::bigint, ?::float8, ?::text, ?::boolean, ?::numeric, ?::text';
echo ask($db, $types, [1, 1 << 40, 1.5, "text 'é'", 'true', '12.50', null]), "\n";
$statement = $db->prepare('SELECT ?::bytea');
$statement->bindValue(1, "\x00\xff", PDO::PARAM_LOB);
$statement->execute();
echo bin2hex(stream_get_contents($statement->fetchColumn())), "\n";

deed('prepared');
$mine = $db->prepare('SELECT ?::int + 1');
$theirs = $other->prepare('SELECT ?::int * 2');
for ($i = 0; $i < 12; $i++) {
    $mine->execute([$i]);
    $theirs->execute([$i]);
    echo $mine->fetchColumn(), ':', $theirs->fetchColumn(), ' ';
}
echo ask(connect([PDO::ATTR_EMULATE_PREPARES => true]), 'SELECT ?', ['emulated']);
echo ask(connect([PDO::PGSQL_ATTR_DISABLE_PREPARES => true]), 'SELECT ?::int', [7]), "\n";
pg_prepare($raw, 'by name', 'SELECT $1::int * 3');
for ($i = 0; $i < 8; $i++) {
    echo pg_fetch_result(pg_execute($raw, 'by name', [$i]), 0, 0), ' ';
}
echo "\n";

deed('pool');
// PHP has no threads: eight connections with a statement under way on each.
$links = array_map(fn() => pg_connect('', PGSQL_CONNECT_FORCE_NEW), range(1, 8));
for ($round = 0; $round < 10; $round++) {
    foreach ($links as $i => $link) {
        pg_send_query_params($link, 'SELECT $1::int + $2::int', [$i, $round]);
    }
    foreach ($links as $link) {
        echo pg_fetch_result(pg_get_result($link), 0, 0), ' ';
        while (pg_get_result($link)) {
        }
    }
}
echo "\n";
array_map('pg_close', $links);

deed('transactions');
$db->beginTransaction();
$db->exec("INSERT INTO thing VALUES (1, 'kept')");
$db->exec('SAVEPOINT s');
$db->exec("INSERT INTO thing VALUES (2, 'lost')");
echo refused(fn() => $db->exec("INSERT INTO thing VALUES (1, 'twice')")), refused(fn() => ask($db, 'SELECT 1')), "\n";
$db->exec('ROLLBACK TO SAVEPOINT s');
$db->exec("INSERT INTO thing VALUES (3, 'after')");
var_dump($db->inTransaction());
$db->commit();
echo ask($db, 'SELECT * FROM thing ORDER BY id'), "\n";
$db->beginTransaction();
$db->exec('DELETE FROM thing');
$db->rollBack();
echo ask($db, 'SELECT count(*) FROM thing'), "\n";

deed('copy');
$rows = array_map(fn($i) => "$i\tthing $i\n", range(100, 4999));
var_dump($db->pgsqlCopyFromArray('thing', $rows));
$out = $db->pgsqlCopyToArray('(SELECT * FROM thing WHERE id >= 100 ORDER BY id)');
var_dump($out === $rows);
echo refused(fn() => $db->pgsqlCopyFromArray('thing', ["9001\tnever\n", "no number\tx\n"])), "\n";
echo ask($db, 'SELECT count(*) FROM thing'), "\n";

deed('cursors');
$db->beginTransaction();
$cursor = $db->prepare('SELECT generate_series(1, 10)', [PDO::ATTR_CURSOR => PDO::CURSOR_SCROLL]);
$cursor->execute();
echo json_encode($cursor->fetch(PDO::FETCH_NUM)), json_encode($cursor->fetch(PDO::FETCH_NUM, PDO::FETCH_ORI_LAST));
echo json_encode($cursor->fetch(PDO::FETCH_NUM, PDO::FETCH_ORI_ABS, 3)), "\n";
$cursor->closeCursor();
unset($cursor);
$db->commit();

deed('notifications');
$other->exec('LISTEN news');
$db->beginTransaction();
$db->exec("NOTIFY news, 'never'");
$db->rollBack();
$db->exec("NOTIFY news, 'one'");
$db->exec("NOTIFY news, 'two'");
for ($i = 0; $i < 2; $i++) {
    $heard = $other->pgsqlGetNotify(PDO::FETCH_ASSOC, 20000);
    echo $heard['message'], ' ', $heard['payload'], "\n";
}
$other->exec('UNLISTEN *');

deed('cancel');
$sleeps = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'";
for ($i = 0; $i < 3; $i++) {
    pg_send_query($raw, 'SELECT pg_sleep(60)');
    $since = microtime(true);
    while ($db->query($sleeps)->fetchColumn() === 0) {
        usleep(10_000);
    }
    // It waits until the statement has ended, however that is.
    var_dump(pg_cancel_query($raw), microtime(true) - $since < 60);
    echo pg_fetch_result(pg_query($raw, "SELECT 'goes on'"), 0, 0), "\n";
}

deed('timeouts');
$db->exec("SET statement_timeout = '200ms'");
echo refused(fn() => $db->exec('SELECT pg_sleep(60)')), "\n";
$db->exec('RESET statement_timeout');
$other->beginTransaction();
$other->exec('LOCK TABLE thing');
$db->beginTransaction();
$db->exec("SET LOCAL lock_timeout = '50ms'");
echo refused(fn() => ask($db, 'SELECT * FROM thing')), "\n";
$db->rollBack();
$other->rollBack();

deed('notices and settings');
pg_query($raw, "DO \$\$ BEGIN RAISE WARNING 'careful'; END \$\$");
echo pg_last_notice($raw), "\n";
$db->exec("SET TIME ZONE 'Europe/Berlin'");
echo ask($db, "SELECT '2026-07-01 12:00+00'::timestamptz::text"), ask($other, 'SHOW TIME ZONE'), "\n";
$statement = $db->query("SELECT 1 AS one, 'x'::varchar(5) AS x");
echo json_encode([$statement->getColumnMeta(0)['native_type'], $statement->getColumnMeta(1)['native_type']]), "\n";

deed('large objects');
$db->beginTransaction();
$oid = $db->pgsqlLOBCreate();
$stream = $db->pgsqlLOBOpen($oid, 'w');
fwrite($stream, str_repeat('0123456789', 5000));
unset($stream);
$db->commit();
$db->beginTransaction();
echo strlen(stream_get_contents($db->pgsqlLOBOpen($oid, 'r'))), "\n";
$db->pgsqlLOBUnlink($oid);
$db->commit();

deed('persistent connections');
for ($i = 0; $i < 3; $i++) {
    $lasting = connect([PDO::ATTR_PERSISTENT => true]);
    echo ask($lasting, 'SELECT ?::int', [$i]);
    $lasting = null;
}
echo "\n";

deed('leaving in a transaction');
$leaving = connect();
$leaving->beginTransaction();
$leaving->exec('DELETE FROM thing');
$leaving = null;
echo ask($db, 'SELECT count(*) FROM thing'), "\n";
$db->exec('DROP TABLE thing');
deed('end');
