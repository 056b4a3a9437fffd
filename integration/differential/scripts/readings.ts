/** A prepared statement means what its constants meant when it was prepared, whatever the settings are when it is used. */
import type { Sent } from '../messages.ts';
import { bind, describeStatement, execute, extended, parse, query, run, sync } from '../messages.ts';
import { a, b, c, script } from '../script.ts';

/** Puts so many others on a server that may keep two that it does not have `p` any more. */
const crowd: readonly Sent[] = [
  parse('x', 'SELECT 1'),
  ...run('x'),
  sync,
  parse('y', 'SELECT 2'),
  ...run('y'),
  sync,
  ...run('x'),
  sync,
];

const readings: readonly (readonly [name: string, before: string, sql: string, after: string])[] = [
  ['the order of a date', "SET DateStyle = 'ISO, MDY'", "SELECT '01/02/2024'::date AS d", "SET DateStyle = 'ISO, DMY'"],
  ['the sign of an interval', 'SELECT 1', "SELECT '-1 2:03'::interval AS i", 'SET IntervalStyle = sql_standard'],
  ['the zone of a time', "SET TimeZone = 'Asia/Tokyo'", "SELECT '2024-01-01'::timestamptz AS t", 'SET TimeZone = UTC'],
  ['NULL in an array', 'SELECT 1', "SELECT '{NULL,1}'::text[] AS a", 'SET array_nulls = off'],
  ['= NULL', 'SET transform_null_equals = on', 'SELECT NULL = NULL AS is', 'RESET transform_null_equals'],
  ['a backslash', 'SELECT 1', "SELECT 'a\\nb' AS s", 'SET standard_conforming_strings = off'],
  ['no reading at all', 'SET work_mem = 70000', "SELECT '01/02/2024'::date AS d", 'SET work_mem = 80000'],
];

export const constants = [
  ...readings.map(([name, before, sql, after]) =>
    script(`a constant keeps its reading: ${name}`, [
      a(before),
      a(parse('p', sql), ...run('p'), sync),
      a(after),
      b('SELECT 1'),
      a(crowd),
      a(...run('p'), sync),
      a(query(sql)),
      a(...crowd.slice(0, 3), describeStatement('p'), sync),
      b(parse('p', sql), ...run('p'), sync),
      a('BEGIN'),
      a(...run('p'), sync),
      a('ROLLBACK'),
      a(...run('p'), sync),
    ]),
  ),
  script('readings in a transaction with settings of its own', [
    a(parse('p', "SELECT '01/02/2024'::date AS d, current_setting('DateStyle') AS s"), sync),
    a(crowd),
    a('BEGIN'),
    a("SET LOCAL DateStyle = 'ISO, DMY'"),
    a("SET TimeZone = 'Asia/Tokyo'"),
    a(...run('p'), sync),
    a('SAVEPOINT s'),
    a('SET DateStyle = SQL'),
    a(crowd),
    a(...run('p'), sync),
    a('ROLLBACK TO s'),
    a("SELECT current_setting('DateStyle'), current_setting('TimeZone')"),
    a('COMMIT'),
    a("SELECT current_setting('DateStyle'), current_setting('TimeZone')"),
    c("SELECT current_setting('DateStyle'), current_setting('TimeZone')"),
  ]),
  script('readings behind an error, and of a statement whose table is gone', [
    a('CREATE TABLE t (d date)'),
    a("INSERT INTO t VALUES ('2024-01-02')"),
    a(parse('p', "SELECT * FROM t WHERE d = '01/02/2024'"), describeStatement('p'), sync),
    a("SET DateStyle = 'ISO, DMY'"),
    a(crowd),
    a(parse('bad', 'SELECT 1/0'), ...run('bad'), ...run('p'), sync),
    a(...run('p'), sync),
    a(crowd),
    a('BEGIN'),
    a('SELECT 1/0'),
    a(...run('p'), sync),
    a('ROLLBACK'),
    a('SHOW DateStyle'),
    b('DROP TABLE t'),
    a(...run('p'), sync),
    a('SHOW DateStyle'),
    b('SHOW DateStyle'),
  ]),
  script('the unnamed statement keeps its reading, too', [
    a(parse('set', "SET DateStyle = 'ISO, DMY'"), sync),
    a(parse('', "SELECT '01/02/2024'::date AS d"), sync),
    a(...run('set'), sync),
    b('SELECT 1'),
    a(bind('', ''), execute(), sync),
    c(extended("SELECT '01/02/2024'::date AS d"), sync),
    a(bind('', ''), execute(), sync),
    a(describeStatement(), sync),
  ]),
];
