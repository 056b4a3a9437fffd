/** Lines of log.format pgbouncer are those that PgBouncer prints. */
import { expect, it } from 'vitest';
import { createLogger } from '../../src/observability/logger.ts';

it('prints time, process, level in its words and the message in one line, and leaves out what it says otherwise', () => {
  const lines: string[] = [];
  const { log } = createLogger({
    ...{ level: 'debug', format: 'pgbouncer' },
    destination: { write: (line) => void lines.push(line) },
  });
  log('info', 'listening', 'weir listens', { port: 1 });
  log('warn', 'x', 'two\nlines of postgres://app:geheim@db1/shop');
  log('error', 'x', 'bad\u001b[31m\tthing');
  const slow = {
    database: 'shop',
    user: 'app',
    application_name: 'a b',
    duration_ms: 412.1,
    wait_ms: 0.2,
    server_ms: 411.9,
    rows: 1,
  };
  const ended = { ...slow, node: 'db2', error: '22012', query_id: '5f1c', query: 'SELECT ?\nFROM a', why: 'read' };
  log('warn', 'slow_statement', 'a statement took 412.1 ms', ended);
  log('info', 'statement', 'a statement, taken as a sample: 412.1 ms', { ...slow, node: 'db1', query: 'SELECT ?' });
  log('debug', 'x', 'noise');
  log('info', 'login_refused', 'in other words');
  log('warn', 'node_problem', 'db2: cannot connect: getaddrinfo ENOTFOUND db2');
  log('warn', 'node_problem', 'db2: replays too slowly');
  const pool = { database: 'shop', user: 'app', node: 'db1', from: 5, to: 7 };
  log('info', 'pool_resize', 'shop.app on db1: 5 -> 7: a client has waited', { ...pool, reason: 'reserve' });
  log('info', 'pool_resize', 'shop.app on db1: 7 -> 5: over', { ...pool, from: 7, to: 5, reason: 'reserve' });
  log('info', 'pool_resize', 'shop.app on db1: 5 -> 7: pressure', { ...pool, reason: 'pressure' });
  const start = String.raw`^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} UTC \[${process.pid}\] `;
  expect(lines.filter((line) => line !== '').map((line) => line.replace(new RegExp(start, 'gm'), ''))).toEqual([
    'LOG weir listens\n',
    'WARNING two lines of postgres://app:***@db1/shop\n',
    'ERROR bad [31m thing\n',
    'WARNING shop/app: a statement took 412.1 ms: wait_ms=0.2 server_ms=411.9 rows=1 node=db2 error=22012 query_id=5f1c application_name="a b" query: SELECT ? FROM a\n',
    'LOG shop/app: a statement, taken as a sample: 412.1 ms: wait_ms=0.2 server_ms=411.9 rows=1 node=db1 application_name="a b" query: SELECT ?\n',
    'DEBUG noise\n',
    'WARNING db2 closing because: server DNS lookup failed (cannot connect: getaddrinfo ENOTFOUND db2)\n',
    'WARNING db2: replays too slowly\n',
    'LOG shop/app: taking connection from reserve_pool\n'.repeat(2) +
      'LOG shop.app on db1: 5 -> 7: a client has waited\n',
    'LOG shop.app on db1: 7 -> 5: over\n',
    'LOG shop.app on db1: 5 -> 7: pressure\n',
  ]);
});
