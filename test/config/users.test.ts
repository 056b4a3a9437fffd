/** PgBouncer's auth_file, and who is known altogether. */
import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { ambiguousUsers, knownUsers, parseUsersFile } from '../../src/config/users.ts';

const scram = `SCRAM-SHA-256$4096:${'c2FsdHNhbHRzYWx0c2FsdA=='}$${'A'.repeat(43)}=:${'B'.repeat(43)}=`;

describe('parseUsersFile', () => {
  it('reads names and secrets of every kind', () => {
    const text = [
      '\uFEFF; a comment',
      '  # another "x" "y"',
      '',
      '"app" "plain"',
      '  "md5user"   "md50123456789abcdef0123456789abcdef"  "more" fields',
      `"scram" "${scram}"`,
      '"quo""te" "pass""word"\r',
      '"empty" ""',
      '"blank user" "blank secret"\t',
      '"app" "last wins"',
    ].join('\n');
    const { users, problems } = parseUsersFile(text);
    expect(problems).toEqual([]);
    expect([...users]).toEqual([
      ['app', 'last wins'],
      ['md5user', 'md50123456789abcdef0123456789abcdef'],
      ['scram', scram],
      ['quo"te', 'pass"word'],
      ['empty', ''],
      ['blank user', 'blank secret'],
    ]);
  });

  it.each([
    ['app pw', 'line 1: is not "name" "secret"'],
    ['"app" pw', 'line 1: the secret of "app" is not in double quotes'],
    ['"app', 'line 1: is not "name" "secret"'],
    ['"app" "hunter2', 'line 1: the secret of "app" is not in double quotes'],
    ['"" "hunter2"', 'line 1: the name is empty'],
    [`"${'x'.repeat(128)}" "hunter2"`, 'line 1: the name is longer than 127 bytes'],
    [`"app" "${'x'.repeat(65532)}"`, 'line 1: the secret of "app" is longer than 65531 bytes'],
    ['"app" "hunter2\0"', 'line 1: there is a NUL'],
    ['"app" "SCRAM-SHA-256$hunter2"', 'line 1: the secret of "app" starts like a SCRAM secret but is none'],
  ])('%j', (text, expected) => {
    const { users, problems } = parseUsersFile(text);
    expect(problems.join('\n')).toContain(expected);
    expect(problems.join('\n')).not.toContain('hunter2');
    expect(users.size).toBe(0);
  });

  it('goes on after a bad line', () => {
    const { users, problems } = parseUsersFile('oops\n"a" "b"\noops');
    expect([...users.keys()]).toEqual(['a']);
    expect(problems.map((problem) => problem.slice(0, 6))).toEqual(['line 1', 'line 3']);
  });
});

describe('knownUsers', () => {
  const result = loadConfig({
    text: JSON.stringify({
      databases: {
        a: { primary: 'postgres://app:one@db1/a', replicas: ['postgres://reader:r@db2/a', 'postgres://nopass@db3/a'] },
        b: { primary: 'postgres://app:two@db1/b' },
        c: { primary: 'postgres://db1/c' },
      },
    }),
    env: {},
  });
  if (!('config' in result)) throw new Error(result.problems.join('\n'));
  const { config } = result;

  it('users of database URLs with a password, the first one counting', () => {
    expect([...knownUsers(config)]).toEqual([
      ['app', 'one'],
      ['reader', 'r'],
    ]);
    expect(ambiguousUsers(config)).toEqual(['app']);
  });

  it('the users file wins', () => {
    expect([...knownUsers(config, '"app" "three"\n"weir" "w"')]).toEqual([
      ['app', 'three'],
      ['reader', 'r'],
      ['weir', 'w'],
    ]);
  });
});
