/** Log lines have their fields, and no secret. Fails if a password or a literal of a query is printed. */
import { mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createLogger } from '../../src/observability/logger.ts';
import { redactFields, redactText } from '../../src/observability/redact.ts';

interface Capture {
  readonly lines: string[];
  write(line: string): void;
}

function capture(): Capture {
  const lines: string[] = [];
  return { lines, write: (line) => void lines.push(line) };
}

describe('the log', () => {
  it('writes one JSON object a line', () => {
    const destination = capture();
    const { log } = createLogger({ level: 'info', format: 'json', destination });
    log('warn', 'node_down', 'node db2 is down', { node: 'db2', lagMs: Infinity });
    log('debug', 'noise', 'not shown');
    expect(destination.lines).toHaveLength(1);
    expect(JSON.parse(destination.lines[0] ?? '')).toMatchObject({
      level: 'warn',
      event: 'node_down',
      msg: 'node db2 is down',
      node: 'db2',
      lagMs: 'Infinity',
    });
  });

  it('is appended to a file, which is opened anew when it was moved away', () => {
    const dir = mkdtempSync(join(tmpdir(), 'weir-log-'));
    const file = join(dir, 'weir.log');
    try {
      const options = { level: 'info', format: 'pretty', file, stdout: false } as const;
      createLogger(options).log('info', 'first', 'one');
      const { log, reopen } = createLogger(options);
      log('info', 'second', 'two');
      renameSync(file, `${file}.1`);
      reopen?.();
      log('info', 'third', 'three', { password: 'geheim' });
      // No colours in a file.
      expect(readFileSync(`${file}.1`, 'utf8')).toMatch(
        /^\[[\d:.]+\] INFO: first: one\n\[[\d:.]+\] INFO: second: two\n$/,
      );
      expect(readFileSync(file, 'utf8')).toMatch(/^\[[\d:.]+\] INFO: third: three\n/);
      expect(readFileSync(file, 'utf8')).not.toContain('geheim');
    } finally {
      rmSync(dir, { recursive: true });
    }
  });

  it('changes its level at once', () => {
    const destination = capture();
    const { log, setLevel, flush } = createLogger({ level: 'error', format: 'json', destination });
    log('info', 'a', 'a');
    setLevel('debug');
    log('debug', 'b', 'b');
    flush();
    expect(destination.lines.map((line) => (JSON.parse(line) as { msg: string }).msg)).toEqual(['b']);
  });

  it('writes for people', () => {
    const destination = capture();
    createLogger({ level: 'info', format: 'pretty', destination }).log('info', 'started', 'listening', { port: 6432 });
    expect(destination.lines.join('')).toMatch(/INFO.*started: listening\n\s+port: 6432/);
  });

  it('writes a message for people in one line, so that names of clients cannot look like lines of the log', () => {
    const destination = capture();
    const { log } = createLogger({ level: 'info', format: 'pretty', destination });
    log('info', 'login_refused', 'database "x\n[09:15:34.099] INFO: \u001b[31mdone\u2028" is unknown', {
      user: 'y\nz',
    });
    const [first, second, ...rest] = destination.lines.join('').split('\n');
    expect(first).toMatch(
      /INFO: login_refused: database "x\\n\[09:15:34\.099\] INFO: \\u001b\[31mdone\\u2028" is unknown$/,
    );
    expect([second, rest]).toEqual(['    user: "y\\nz"', ['']]);
  });

  it('does not throw, whatever it is given', () => {
    const broken = {
      write: () => {
        throw new Error('disk full');
      },
    };
    const { log } = createLogger({ level: 'info', format: 'json', destination: broken });
    log('info', 'x', 'x');
    const hostile = {
      get field(): string {
        throw new Error('getter');
      },
    };
    const destination = capture();
    const safe = createLogger({ level: 'info', format: 'json', destination });
    safe.log('info', 'x', 'x', hostile);
    safe.log('info', 'y', 'y', { big: 10n, run: () => 1, nothing: undefined, at: new Date(NaN) });
    expect(destination.lines).toHaveLength(1);
  });
});

describe('redaction', () => {
  it.each([
    'postgres://app:s3cr3t@db1:5432/shop',
    'cannot reach redis://:s3cr3t@cache:6379/0: refused',
    'postgres://app:s3cr3t@x@db1/shop',
    'host=db1 password=s3cr3t dbname=shop',
    "host=db1 password = 's3cr3t and more' dbname=shop",
    "ALTER ROLE app PASSWORD 's3cr3t'",
    '{"password": "s3cr3t"}',
    '{"password":"s3c\\"s3cr3t"}',
    'Authorization: Bearer s3cr3t',
    'authorization: Basic s3cr3t',
    '"app" "SCRAM-SHA-256$4096:c2FsdA==$s3cr3t/AAAA=:BBBBs3cr3tB="',
    '"app" "md5d41d8cd98f00b204e9800998ecf8427e"',
  ])('hides the secret of %s', (text) => {
    const clean = redactText(text);
    expect(clean).not.toContain('s3cr3t');
    expect(clean).not.toContain('d41d8cd98f00b204e9800998ecf8427e');
    expect(clean).toContain('***');
  });

  it('leaves the rest to be read', () => {
    expect(redactText('postgres://app:pw@db1:5432/shop')).toBe('postgres://app:***@db1:5432/shop');
    expect(redactText('password authentication failed for user "app"')).toBe(
      'password authentication failed for user "app"',
    );
    expect(redactText('listening on 127.0.0.1:6432')).toBe('listening on 127.0.0.1:6432');
    expect(redactText('http://a/b?x=1')).toBe('http://a/b?x=1');
  });

  it('goes by names of fields at any depth, and survives cycles', () => {
    const cycle: Record<string, unknown> = {
      user: 'app',
      Password: 'x',
      nested: [{ clientKey: 'x', secret: { a: 1 } }],
    };
    cycle['self'] = cycle;
    const clean = JSON.stringify(redactFields(cycle));
    expect(clean).toContain('"user":"app"');
    expect(clean).toContain('"Password":"***"');
    expect(clean).toContain('"clientKey":"***","secret":"***"');
  });

  it('shows errors with their cause, without their secrets', () => {
    const error = new Error('cannot log in to postgres://u:geheim@h/d', { cause: new Error('inner password=geheim') });
    const clean = JSON.stringify(redactFields({ error }));
    expect(clean).toContain('cannot log in to postgres://u:***@h/d');
    expect(clean).toContain('inner password=***');
    expect(clean).not.toContain('geheim');
  });

  it('is quick on hostile text', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom('a:', '//', '@', 'password=', '"', "'", '\\', ' ', '$'), maxLength: 4000 }),
        (text) => {
          expect(typeof redactText(text)).toBe('string');
        },
      ),
      { numRuns: 50 },
    );
    expect(redactText('x'.repeat(1_000_000)).length).toBeLessThan(9_000);
  });
});
