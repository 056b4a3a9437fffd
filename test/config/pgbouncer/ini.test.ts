/**
 * The lines of a pgbouncer.ini and its connection strings are read by PgBouncer's rules, and what it would refuse is refused with
 * file and line. The cases of values were compared with PgBouncer 1.18.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { parsePairs } from '../../../src/config/pgbouncer/connection-string.ts';
import { isIni, readIni } from '../../../src/config/pgbouncer/ini.ts';

const dir = mkdtempSync(join(tmpdir(), 'weir-ini-'));
afterAll(() => rmSync(dir, { recursive: true }));

const read = (text: string): string[] => {
  const { lines, problems } = readIni(text, 'p.ini');
  return [...lines.map(({ section, key, value, place }) => `${place} ${section}/${key}=${value}`), ...problems];
};

describe('lines', () => {
  it('sections, comments, blanks, values with = ; # and quotes', () => {
    const text = [
      '\uFEFF; comment',
      '# comment',
      '[pgbouncer]',
      '  listen_port=6432  ',
      'auth_query\t=  SELECT a FROM b WHERE c=$1 ; # no comment',
      'pidfile =',
      '[databases] a = host=b',
      '"my ""db" = host=h',
      "my-d.b_1 = dbname='it''s'\r",
      '* = host=x',
    ];
    expect(read(text.join('\n'))).toEqual([
      'p.ini:4 pgbouncer/listen_port=6432',
      'p.ini:5 pgbouncer/auth_query=SELECT a FROM b WHERE c=$1 ; # no comment',
      'p.ini:6 pgbouncer/pidfile=',
      'p.ini:7 databases/a=host=b',
      'p.ini:8 databases/my "db=host=h',
      "p.ini:9 databases/my-d.b_1=dbname='it''s'",
      'p.ini:10 databases/*=host=x',
    ]);
  });

  it('all that PgBouncer would refuse', () => {
    const text = 'x = 1\n[foo]\na = 1\n[pgbouncer\n[pgbouncer]\nbare\na b = 1\n"open = 1\n%include';
    expect(read(text)).toEqual([
      'p.ini:1: x: value without section',
      'p.ini:2: unknown section [foo]: databases, users, pgbouncer, peers',
      'p.ini:4: syntax error in configuration: a section ends with ]',
      'p.ini:6: syntax error in configuration: this is not key = value',
      'p.ini:7: syntax error in configuration: this is not key = value',
      'p.ini:8: syntax error in configuration: this is not key = value',
      'p.ini:9: syntax error in configuration: this is not key = value',
    ]);
  });
});

describe('%include', () => {
  const file = join(dir, 'more.ini');

  it('goes on in the section of the included file, and names its lines', () => {
    writeFileSync(file, 'max_client_conn = 7\n[databases]\n');
    const found = read(`[pgbouncer]\n%include ${file}\nshop = host=db1`);
    expect(found).toEqual([`${file}:1 pgbouncer/max_client_conn=7`, 'p.ini:3 databases/shop=host=db1']);
  });

  it('a file that is not there, and one that includes itself', () => {
    expect(read(`%include ${dir}/gone.ini`)).toEqual([`p.ini:1: %include ${dir}/gone.ini: the file does not exist`]);
    expect(read(`%include ${dir}`)).toEqual([`p.ini:1: %include ${dir}: the file cannot be read (EISDIR)`]);
    writeFileSync(file, `%include ${file}\n`);
    expect(read(`%include ${file}`)).toEqual([`${file}:1: %include ${file}: files include each other too deeply (10)`]);
  });
});

describe('which files are pgbouncer.ini', () => {
  it.each([
    ['x.ini', '', true],
    ['/etc/X.INI', 'a: b', true],
    ['x.conf', ';; a\n\n[databases]\n', true],
    ['x.conf', '%include y\n', true],
    ['x.yaml', 'databases: {}', false],
    ['x.yaml', '# [pgbouncer]\nlisten: x', false],
    ['x.json', '{"databases":{}}', false],
    [undefined, '', false],
  ])('%s %j', (file, text, is) => {
    expect(isIni(file, text)).toBe(is);
  });
});

describe('connection strings', () => {
  const pairs = (text: string): unknown => {
    const parsed = parsePairs(text);
    return 'problem' in parsed ? parsed.problem : Object.fromEntries(parsed.pairs);
  };

  it.each([
    ['', {}],
    ['host=a port=5', { host: 'a', port: '5' }],
    ['  host = a\t port =  5 ', { host: 'a', port: '5' }],
    ["password='it''s a b' user=u", { password: "it's a b", user: 'u' }],
    ["dbname=b'c", { dbname: "b'c" }],
    ['connect_query=\'select "a=b"\' host=h', { connect_query: 'select "a=b"', host: 'h' }],
    ['host=a host=b', { host: 'b' }],
  ])('%j', (text, expected) => {
    expect(pairs(text)).toEqual(expected);
  });

  it.each([
    ['host', 'write key=value pairs'],
    ['=a', 'write key=value pairs'],
    ['password=', 'password has no value'],
    ["password=''", 'password has no value'],
    ["password='a", 'the quote of password is not closed'],
    ["password='a''", 'the quote of password is not closed'],
  ])('%j is a syntax error', (text, expected) => {
    expect(pairs(text)).toContain(expected);
    expect(pairs(text)).toMatch(/^syntax error in connection string/);
  });
});
