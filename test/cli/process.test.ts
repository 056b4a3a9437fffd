/**
 * What `weir serve` does to its process: the file with its ID, the user of the system, what a name such as pgbouncer means.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { argumentsOf } from '../../src/cli/called-as.ts';
import { takePidfile } from '../../src/cli/pidfile.ts';
import { becomeUser } from '../../src/cli/unix-user.ts';

const dir = mkdtempSync(join(tmpdir(), 'weir-pid-'));
const file = join(dir, 'weir.pid');
afterAll(() => rmSync(dir, { recursive: true }));

describe('pidfile', () => {
  it('has the process ID until the end', () => {
    const remove = takePidfile(file);
    expect(readFileSync(file, 'utf8')).toBe(`${process.pid}\n`);
    remove();
    expect(existsSync(file)).toBe(false);
    remove();
  });

  it('one that was left behind is replaced, one of a process that lives is not', () => {
    for (const left of ['', 'x', '999999999', `${process.pid}`]) {
      writeFileSync(file, left);
      takePidfile(file)();
    }
    writeFileSync(file, `${process.ppid}\n`);
    expect(() => takePidfile(file)).toThrow(`process ${process.ppid} has it: is another Weir running?`);
    expect(readFileSync(file, 'utf8')).toBe(`${process.ppid}\n`);
  });

  it('the file of another process is not removed, and one that cannot be written is an error', () => {
    rmSync(file);
    const remove = takePidfile(file);
    writeFileSync(file, '1\n');
    remove();
    expect(readFileSync(file, 'utf8')).toBe('1\n');
    expect(() => takePidfile(join(dir, 'gone', 'weir.pid'))).toThrow(
      `pidfile ${join(dir, 'gone', 'weir.pid')}: the directory ${join(dir, 'gone')} does not exist`,
    );
    expect(() => takePidfile(dir)).toThrow(`pidfile ${dir}: it is a directory`);
    expect(takePidfile(undefined)).toBeInstanceOf(Function);
  });
});

describe('user', () => {
  it('is left alone if it is not set, and must exist', () => {
    becomeUser(undefined);
    const isRoot = process.getuid?.() === 0;
    const wrong = isRoot ? 'there is no user no-such-user on this system' : 'only root can become no-such-user';
    expect(() => becomeUser('no-such-user')).toThrow(wrong);
  });

  it.runIf(process.getuid?.() !== 0)('may be the one that it is already', () => {
    becomeUser(userInfo().username);
    expect(process.getuid?.()).toBe(userInfo().uid);
  });
});

describe('the name of PgBouncer', () => {
  it.each([
    ['/usr/bin/weir', ['pools'], ['pools']],
    ['/usr/sbin/pgbouncer', ['-d', '-v', 'a.ini'], ['serve', '-d', '-v', 'a.ini']],
    ['/usr/sbin/pgbouncer', ['-V'], ['version']],
    ['/usr/sbin/pgbouncer', ['--version'], ['version']],
    ['/usr/sbin/pgbouncer', ['-h'], ['serve', '-h']],
    ['/usr/sbin/pgbouncer', [], ['serve']],
  ])('%s %j', (program, argv, expected) => {
    expect(argumentsOf(program, argv)).toEqual(expected);
  });
});
