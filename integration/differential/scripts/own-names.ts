/** Where SQL speaks of statements of the protocol by the client's own names: EXECUTE in all its forms, and what shows them. */
import {
  bind,
  closeStatement,
  describePortal,
  describeStatement,
  execute,
  extended,
  parse,
  run,
  sync,
} from '../messages.ts';
import { a, atOnce, b, script } from '../script.ts';

const columns = 'name, statement, parameter_types::text, from_sql';
const shown = `SELECT ${columns} FROM pg_prepared_statements ORDER BY 1`;
/** Weir's own names on a server are made only by clients that use it. */
const strangers = b(parse('p', 'SELECT 11'), parse('stranger', 'SELECT $1::text'), ...run('p'), sync);
const some = a(parse('p', 'SELECT $1::int + 1 AS n'), parse('"Q"', "SELECT  'two' , $1", [25]), sync);

export const ownNames = [
  script(
    'Describe of EXECUTE',
    [
      strangers,
      some,
      a(parse('', 'EXECUTE p(5)'), describeStatement(''), sync),
      a(parse('', 'EXECUTE p(6)'), describeStatement(''), bind('', ''), describePortal(''), execute(''), sync),
      a(parse('e', 'EXECUTE p(7)'), sync),
      a(describeStatement('e'), sync),
      a(...run('e'), sync),
      a(parse('x', 'EXECUTE nowhere'), describeStatement('x'), sync),
      a(closeStatement('p'), ...run('e'), sync),
    ],
    atOnce,
  ),
  script(
    'EXECUTE of one name by clients to whom it means different things',
    [
      a(parse('p', 'SELECT 1 AS one'), sync),
      b(parse('p', "SELECT 'x' AS x, 'y' AS y"), sync),
      a(parse('e', 'EXECUTE p'), describeStatement('e'), sync),
      b(parse('e', 'EXECUTE p'), describeStatement('e'), sync),
      b(...run('e'), sync),
      a(...run('e'), sync),
      a.leaves(),
      b(describeStatement('e'), sync),
    ],
    atOnce,
  ),
  script(
    'EXECUTE in EXPLAIN and in CREATE TABLE AS',
    [
      strangers,
      some,
      a('EXPLAIN (COSTS OFF) EXECUTE p(1)'),
      a(...extended('EXPLAIN (COSTS OFF) EXECUTE p(1)'), sync),
      a('CREATE TEMP TABLE made AS EXECUTE p(1)'),
      a('SELECT * FROM made'),
      a('EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF) EXECUTE "Q"(1)'),
      a('EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF) EXECUTE """Q"""(1)'),
      a('DISCARD ALL'),
    ],
    atOnce,
  ),
  script(
    'EXECUTE reads constants as they were read at Parse',
    [
      a("SET datestyle = 'ISO, DMY'"),
      a(parse('d', "SELECT '1/2/2020'::date AS d"), sync),
      a("SET datestyle = 'ISO, MDY'"),
      a('EXECUTE d'),
      a(...extended('EXECUTE d'), sync),
      a(...run('d'), sync),
      a('SHOW datestyle'),
      a('RESET datestyle'),
    ],
    atOnce,
  ),
  script(
    'a statement of SQL that the protocol closes and makes anew',
    [
      a('PREPARE p AS SELECT 1'),
      a(...run('p'), closeStatement('p'), sync),
      a(...run('p'), sync),
      a(parse('p', "SET work_mem = '703kB'"), sync),
      a(...run('p'), sync),
      a(shown),
      a('EXECUTE p'),
      a('SHOW work_mem'),
      b('SHOW work_mem'),
      a(...extended('SELECT 1/0'), closeStatement('p'), sync),
      a(shown),
      a('RESET ALL'),
    ],
    atOnce,
  ),
  script(
    'pg_prepared_statements from statements of the protocol, named and unnamed',
    [
      strangers,
      some,
      a(...extended(shown), sync),
      a(parse('shown', shown), sync),
      a(...run('shown'), sync),
      a(parse('later', 'SELECT $1::date'), sync),
      a(describeStatement('shown'), ...run('shown'), sync),
      a('BEGIN'),
      a(...run('shown'), ...run('p', '1'), sync),
      a(closeStatement('p'), ...run('shown'), sync),
      a('COMMIT'),
      a('EXECUTE shown'),
      a(...run('shown'), closeStatement('shown'), sync),
      a(shown),
      b(shown),
    ],
    atOnce,
  ),
  script(
    'pg_prepared_statements in COPY, in a cursor, and by EXECUTE',
    [
      strangers,
      some,
      a('SELECT name FROM pg_prepared_statement() ORDER BY 1'),
      a('DEALLOCATE ALL'),
      some,
      a(`COPY (${shown}) TO STDOUT`),
      a('DEALLOCATE ALL'),
      some,
      a(parse('shown', shown), sync),
      a('EXECUTE shown'),
      a('DEALLOCATE ALL'),
      some,
      a(`BEGIN; DECLARE c CURSOR FOR ${shown}; FETCH ALL FROM c; COMMIT`),
      b(shown),
    ],
    atOnce,
  ),
];
