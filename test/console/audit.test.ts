/** The audit of the console has who, from where, what and how it ended, and no secret. */
import { describe, expect, it } from 'vitest';
import { wordsOf } from '../../src/console/audit.ts';
import { createConsole, type Console, type ConsoleUser } from '../../src/console/console.ts';
import { redactText } from '../../src/observability/redact.ts';
import type { Log, LogFields } from '../../src/observability/types.ts';
import { fakeSources } from './fakes.ts';

interface Line {
  readonly to: 'bounded' | 'whole';
  readonly level: string;
  readonly message: string;
  readonly fields: LogFields | undefined;
}

const by = (user: string): ConsoleUser => ({
  ...{ user, database: 'pgbouncer', client: '10.0.0.9:50123', signal: new AbortController().signal },
});

function bench(): {
  readonly console: Console;
  readonly lines: Line[];
  run(text: string, user?: string): Promise<void>;
} {
  const lines: Line[] = [];
  const into =
    (to: Line['to']): Log =>
    (level, event, message, fields) => {
      if (event === 'console_command') lines.push({ to, level, message, fields });
    };
  const console = createConsole({
    sources: fakeSources(),
    roleOf: (user) => (user === 'weir' ? 'admin' : 'stats'),
    nowMs: () => 0,
    log: into('bounded'),
    wholeLog: into('whole'),
  });
  const run = async (text: string, user = 'weir'): Promise<void> => {
    for (const statement of console.parse(text, by(user))) await console.execute(statement, by(user));
  };
  return { console, lines, run };
}

describe('the audit', () => {
  it('has a line for each command that was done, with all its words', async () => {
    const { run, lines } = bench();
    await run("ENABLE  shop; set max_client_conn\n= '50'; SHOW POOLS");
    expect(lines.map(({ to, level, message }) => `${to} ${level} ${message}`)).toEqual([
      'whole info weir at 10.0.0.9:50123: ENABLE shop: done',
      "whole info weir at 10.0.0.9:50123: set max_client_conn = '50': done",
      'bounded debug weir at 10.0.0.9:50123: SHOW POOLS: done',
    ]);
    expect(lines[0]?.fields).toEqual({
      ...{ user: 'weir', client: '10.0.0.9:50123', database: 'pgbouncer', command: 'ENABLE shop', outcome: 'done' },
    });
  });

  it('has what was refused, and why: by the role, by the command, by the syntax', async () => {
    const { run, lines } = bench();
    await expect(run('PAUSE', 'stats')).rejects.toThrow();
    await expect(run('KILL 8')).rejects.toThrow();
    await expect(run('PUASE shop')).rejects.toThrow();
    expect(lines.map(({ level }) => level)).toEqual(['warn', 'warn', 'warn']);
    expect(lines.map(({ fields }) => [fields?.['command'], fields?.['outcome'], fields?.['sqlstate']])).toEqual([
      ['PAUSE', 'refused', '42501'],
      ['KILL 8', 'refused', '55000'],
      ['PUASE shop', 'refused', '42601'],
    ]);
    expect(lines[1]?.message).toMatch(/^weir at 10\.0\.0\.9:50123: KILL 8: refused: there is no client 8/);
  });

  it('says at once that a command has begun that may wait for long', async () => {
    const { run, lines } = bench();
    await run('PAUSE shop');
    expect(lines.map(({ message }) => message.replace(/^.*: PAUSE/, 'PAUSE'))).toEqual([
      ...['PAUSE shop: begun', 'PAUSE shop: done'],
    ]);
  });

  it.each([
    ["SET auth_password = 'geheim'", "SET auth_password = '***'"],
    ['SET limits_token TO geheim', "SET limits_token TO '***'"],
    ['SET "cache.redis_secret" = \'geheim x\'', 'SET "cache.redis_secret" = \'***\''],
    ["EXPLAIN ROUTE (DATABASE shop) SELECT * FROM t WHERE card = 'geheim'", 'EXPLAIN ROUTE ...'],
    ["NODE ADD shop 'postgres://app:geheim@db4/shop'", "NODE ADD shop 'postgres://app:***@db4/shop'"],
    ["ALTER ROLE app PASSWORD 'geheim'", 'ALTER ROLE app PASSWORD ***'],
  ])('leaves out the secret of %s', (text, shown) => {
    expect(redactText(wordsOf(text))).toBe(shown);
  });

  it.each([
    ["SET limits_redis = 'redis://u:ge/he@im@h:1/0'", "SET limits_redis = 'redis://u:***@h:1/0'"],
    ["SET limits_redis = 'redis://u:ge heim@h:1'", "SET limits_redis = 'redis://u:***@h:1'"],
    ["SET tracing.endpoint = 'http://h/v1?key=geheim'", "SET tracing.endpoint = 'http://h/v1?***'"],
  ])('leaves out what a URL of %s hides', (text, shown) => {
    expect(redactText(wordsOf(text))).toBe(shown);
  });

  it.each([
    ['ALTER USER a PASSWORD $$geheim$$', "ALTER USER a PASSWORD '***'"],
    ["ALTER USER a PASSWORD $x$geheim$$ ' $x$ VALID UNTIL 'geheim'", "ALTER USER a PASSWORD '***' VALID UNTIL '***'"],
    ["SELECT pgp_sym_encrypt(E'a\\'geheim', 'ge''heim')", "SELECT pgp_sym_encrypt('***', '***')"],
    ["INSERT INTO a VALUES ('geheim", "INSERT INTO a VALUES ('***'"],
    ["COPY a FROM PROGRAM 'curl -u a:geheim x'", "COPY a FROM PROGRAM '***'"],
    ['KILL CLIENT 12345', 'KILL CLIENT 12345'],
  ])('shows no constant of what is no command: %s', async (text, shown) => {
    const { run, lines } = bench();
    await expect(run(text)).rejects.toThrow();
    expect(lines.map(({ fields }) => fields?.['command'])).toEqual([shown]);
    expect(JSON.stringify(lines)).not.toContain('heim');
  });

  it('cuts a long command', () => {
    expect(wordsOf(`SET key = '${'x'.repeat(10_000)}'`).length).toBeLessThan(600);
  });
});
