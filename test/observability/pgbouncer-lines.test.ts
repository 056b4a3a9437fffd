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
  log('error', 'x', 'bad');
  log('debug', 'x', 'noise');
  log('info', 'login_refused', 'in other words');
  const start = String.raw`^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} UTC \[${process.pid}\] `;
  expect(lines.filter((line) => line !== '').map((line) => line.replace(new RegExp(start), ''))).toEqual([
    'LOG weir listens\n',
    'WARNING two lines of postgres://app:***@db1/shop\n',
    'ERROR bad\n',
    'DEBUG noise\n',
  ]);
});
