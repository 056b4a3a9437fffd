/** auth.hba_file and auth.ident_file: what a line means, what is refused with its place, and that nothing else gets in. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { parseAddress } from '../../src/auth/hba/addresses.ts';
import { isMapped } from '../../src/auth/hba/ident.ts';
import type { Access } from '../../src/auth/hba/load.ts';
import { loadAccess } from '../../src/auth/hba/load.ts';
import { compileRegex, matches } from '../../src/auth/hba/regex.ts';
import type { Connection } from '../../src/auth/hba/rules.ts';
import { findRule } from '../../src/auth/hba/rules.ts';
import { fieldsOf } from '../../src/auth/hba/tokens.ts';
import { distinguishedName } from '../../src/frontend/certificate.ts';

const dir = mkdtempSync(join(tmpdir(), 'weir-hba-'));
afterAll(() => rmSync(dir, { recursive: true }));

function save(name: string, text: string): string {
  const file = join(dir, name);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  return file;
}

const load = (hba: string, ident?: string, canVerify = true): ReturnType<typeof loadAccess> =>
  loadAccess({
    hbaFile: save('hba.conf', hba),
    identFile: ident === undefined ? undefined : save('ident.conf', ident),
    canVerify,
  });

function access(hba: string, ident?: string): Access {
  const loaded = load(hba, ident);
  if ('problems' in loaded) throw new Error(loaded.problems.join('\n'));
  return loaded.access;
}

const problems = (hba: string, ident?: string, canVerify = true): string => {
  const loaded = load(hba, ident, canVerify);
  return 'problems' in loaded ? loaded.problems.join('\n') : '';
};

describe('a file of PgBouncer', () => {
  const loadAs = (hba: string, isPgbouncer: boolean): ReturnType<typeof loadAccess> =>
    loadAccess({ hbaFile: save('hba.conf', hba), identFile: undefined, canVerify: false, isPgbouncer });
  const file = 'host tmp ann,bob , carl\t10.0.0.0/8 md5\nhost "all" "all" 19.0.0.0/8 cert\nlocal all all cert';

  it('may have blanks before a comma, and cert with host; who needs a certificate is refused', () => {
    const loaded = loadAs(file.replace(/\nlocal.*/, ''), true);
    if ('problems' in loaded) throw new Error(loaded.problems.join('\n'));
    expect(
      loaded.access.rules.map(({ users, method }) => [users.map((each) => 'name' in each && each.name), method]),
    ).toEqual([
      [['ann', 'bob', 'carl'], 'md5'],
      [['all'], 'cert'],
    ]);
    expect(loaded.access.warnings).toEqual([
      'hba.conf:2: certificates of clients cannot be checked without tls.client.ca: who comes by this line is refused',
    ]);
  });

  it('has the same problems as in PostgreSQL otherwise', () => {
    expect(loadAs(file, true)).toEqual({ problems: ['hba.conf:3: cert is possible with hostssl only'] });
    expect(loadAs(file, false)).toMatchObject({ problems: { length: 3 } });
  });
});

interface Who {
  readonly from?: string | null;
  readonly tls?: boolean;
  readonly user?: string;
  readonly db?: string | readonly string[];
  readonly replicates?: boolean;
}

function connection({
  from = '10.1.2.3',
  tls = false,
  user = 'ann',
  db = 'shop',
  replicates = false,
}: Who): Connection {
  const address = from === null ? undefined : parseAddress(from);
  return { address, hasTls: tls, user, databases: typeof db === 'string' ? [db] : db, isReplication: replicates };
}

/** The method of the rule that decides. */
const decides = (hba: string, who: Who): string | undefined => findRule(access(hba).rules, connection(who))?.method;

describe('a line', () => {
  it.each<[line: string, fits: readonly Who[], others: readonly Who[]]>([
    ['local all all trust', [{ from: null }], [{}, { from: '::1' }]],
    ['host all all all trust', [{}, { tls: true }, { from: '::1' }], [{ from: null }, { replicates: true }]],
    ['hostssl all all all trust', [{ tls: true }], [{}, { from: null }]],
    ['hostnossl all all all trust', [{}], [{ tls: true }, { from: null }]],
    ['hostgssenc all all all trust', [], [{}, { tls: true }, { from: null }]],
    ['hostnogssenc all all all trust', [{}, { tls: true }], [{ from: null }]],
    ['host shop,pay all all trust', [{}, { db: 'pay' }], [{ db: 'shop,pay' }, { db: 'Shop' }, { db: '' }]],
    ['host shop, pay all all trust', [{ db: 'pay' }], [{ db: 'all' }]],
    ['host sameuser all all trust', [{ db: 'ann' }], [{}]],
    ['host "sameuser" all all trust', [{ db: 'sameuser' }], [{ db: 'ann' }]],
    ['host "all" all all trust', [{ db: 'all' }], [{}]],
    ['host all "all" all trust', [{ user: 'all' }], [{}]],
    ['host "replication" all all trust', [{ db: 'replication' }], [{ replicates: true, db: 'replication' }]],
    ['host replication all all trust', [{ replicates: true }], [{ db: 'replication' }, {}]],
    ['host all all all reject', [{}], [{ replicates: true }]],
    ['host /^sh.p$ all all trust', [{}, { db: 'shxp' }], [{ db: 'shops' }, { db: 'xshop' }]],
    ['host all /^a,bob all trust', [{}, { user: 'bob' }], [{ user: 'bobby' }]],
    ['host all "/^a, b" all trust', [{ user: 'a, bc' }], [{}]],
    ['host all "a ""b"" #c" all trust', [{ user: 'a "b" #c' }], [{}]],
    ['host all "+ann" all trust', [{ user: '+ann' }], [{}]],
    ['host all "@x" all trust', [{ user: '@x' }], [{}]],
    ['host all all 10.0.0.0/8 trust', [{}, { from: '::ffff:10.9.9.9' }], [{ from: '11.0.0.1' }, { from: '::a00:1' }]],
    ['host all all 10.1.2.3/32 trust', [{}], [{ from: '10.1.2.4' }]],
    ['host all all 10.1.2.3 255.255.255.255 trust', [{}], [{ from: '10.1.2.2' }]],
    ['host all all 10.1.0.0 255.255.0.0 trust # so', [{}], [{ from: '10.2.2.3' }]],
    ['host all all 0.0.0.0/0 trust', [{}], [{ from: '::1' }]],
    ['host all all ::/0 trust', [{ from: '::1' }, { from: 'fe80::1%eth0' }], [{}]],
    ['host all all fe80::/10 trust', [{ from: 'febf::1' }], [{ from: 'fec0::1' }]],
    ['host all all 2001:db8::1:0/112 trust', [{ from: '2001:db8::1:7' }], [{ from: '2001:db8::2:7' }]],
    ['host all all ::ffff:10.1.0.0/112 trust', [{}], [{ from: '10.2.0.0' }]],
    ['host all all samehost trust', [{ from: '127.0.0.1' }], [{ from: '127.0.0.2' }]],
    ['host all all samenet trust', [{ from: '127.9.9.9' }], []],
    ['host all all "all"/0 trust', [], []],
    ['host shop all all trust', [{ db: ['weir', 'shop'] }], [{ db: ['weir', 'pgbouncer'] }]],
    ['host weir all all reject', [{ db: ['weir', 'pgbouncer'] }], [{}]],
  ])('%s', (line, fits, others) => {
    if (line.includes('"all"/0')) return expect(problems(line)).toContain('is not an address');
    const method = line.includes('reject') ? 'reject' : 'trust';
    for (const who of fits) expect(decides(line, who), JSON.stringify(who)).toBe(method);
    for (const who of others) expect(decides(line, who), JSON.stringify(who)).toBeUndefined();
  });

  it('decides if it is the first that fits, and nobody else does', () => {
    const hba = 'host all eve all reject\nhost all all 10.0.0.0/8 md5\nhost all all all trust\n';
    expect(decides(hba, { user: 'eve' })).toBe('reject');
    expect(decides(hba, {})).toBe('md5');
    expect(decides(hba, { from: '192.0.2.1' })).toBe('trust');
  });

  it.each([
    ['hosts all all all trust', '"hosts" is not a connection type'],
    ['host', 'ends before its databases'],
    ['host all', 'ends before its users'],
    ['host all all', 'ends before its address'],
    ['local all all', 'ends before its method'],
    ['host all all all', 'ends before its method'],
    ['host,local all all all trust', 'several values for its connection type'],
    ['host all all 10.0.0.0/8,11.0.0.0/8 trust', 'several values for its address'],
    ['host all all db.example.com trust', 'host names are not supported'],
    ['host all all .example.com trust', 'host names are not supported'],
    ['host all all 10.0.0.0/33 trust', 'impossible number of bits'],
    ['host all all 10.0.0.0/x trust', 'impossible number of bits'],
    ['host all all 10.0.0.0/ trust', 'impossible number of bits'],
    ['host all all ::1/129 trust', 'impossible number of bits'],
    ['host all all 10.0.0.1 trust', 'needs a mask'],
    ['host all all 10.0.0.1 ffff:: trust', 'needs a mask'],
    ['host all all 10.0.0.1/8/8 trust', 'is not an address'],
    ['host all +staff all trust', 'who is a member of a role'],
    ['host samerole all all trust', 'who is a member of a role'],
    ['host samegroup all all trust', 'who is a member of a role'],
    ['host all all all gss', 'the method "gss" is not supported: trust, reject'],
    ['host all all all peer', 'peer is possible with local only'],
    ['host all all all ident', 'Weir asks no ident server'],
    ['local all all peer nonsense', 'is not an option'],
    ['host all all all cert', 'cert is possible with hostssl only'],
    ['host all all all md5 clientcert=verify-ca', 'clientcert is possible with hostssl only'],
    ['hostssl all all all md5 clientcert=1', 'is not verify-ca or verify-full'],
    ['hostssl all all all cert clientcert=verify-ca', 'less than cert asks for'],
    ['hostssl all all all cert clientname=OU', 'is not CN or DN'],
    ['hostssl all all all cert map=m', 'map=m: auth.ident_file is not set'],
    ['hostssl all all all md5 map=m', 'map is an option of cert'],
    ['hostssl all all all cert map=a map=b', 'given twice'],
    ['host all all all md5 nonsense', 'is not an option'],
    ['host all all all md5 pamservice=x', 'the option "pamservice" is not supported'],
    ['host all "all all trust', 'a double quote is not closed'],
    ['host all /( all trust', 'without its )'],
    ['host all /(a+)+$ all trust', 'repeats a group that itself repeats'],
    ['host all @gone all trust', 'hba.conf:1: cannot read'],
    ['include', 'include takes one name'],
    ['include a b', 'include takes one name'],
    ['include gone.conf', 'cannot read'],
    ['include_dir gone', 'cannot read'],
    ['include hba.conf', 'more than 10 deep'],
    ['# nothing at all', 'has no line'],
  ])('is refused: %s', (line, why) => {
    expect(problems(line)).toContain(why);
  });

  it('with peer concerns its clients only, and is named', () => {
    const hba = 'local all postgres peer map=gone\nlocal all bob ident\nlocal all all md5\nhost all all all md5\n';
    expect(access(hba).warnings).toEqual([
      expect.stringMatching(/^hba\.conf:1: peer: Node cannot ask the kernel/),
      expect.stringMatching(/^hba\.conf:2: peer: Node cannot ask the kernel/),
    ]);
    expect(decides(hba, { from: null, user: 'postgres' })).toBe('peer');
    expect(decides(hba, { from: null, user: 'bob' })).toBe('peer');
    expect(decides(hba, { from: null })).toBe('md5');
    expect(decides(hba, { user: 'postgres' })).toBe('md5');
    expect(access('host all all all md5').warnings).toEqual([]);
  });

  it('with certificates needs somebody to check them', () => {
    expect(problems('hostssl all all all cert', undefined, false)).toContain('without tls.client.ca');
    expect(problems('hostssl all all all md5 clientcert=verify-ca', undefined, false)).toContain(
      'without tls.client.ca',
    );
    expect(problems('hostssl all all all cert')).toBe('');
  });
});

describe('files', () => {
  it('include each other, and problems name the file and the line', () => {
    save('d/b.conf', 'host b all all trust\n');
    save('d/a.conf', 'host a all all md5\nhost a\n');
    save('d/.c.conf', 'nonsense\n');
    save('d/d.txt', 'nonsense\n');
    save('more.conf', '\n\nhost more @names "x\n');
    save('names', '# who\nann, bob\n"c d" @others\n');
    save('others', 'eve\n');
    const hba = [
      '\ufeff# a comment \\',
      'that goes on',
      'include_if_exists gone.conf\r',
      'include more.conf',
      'include_dir d',
      'host all @names \\',
      '  10.0.0.0/8 \\',
      ' scram-sha-256',
      'host',
    ].join('\n');
    expect(problems(hba).split('\n')).toEqual([
      'more.conf:3: a double quote is not closed',
      'a.conf:2: ends before its users',
      'hba.conf:9: ends before its databases',
    ]);
    save('more.conf', '');
    save('d/a.conf', 'host a all all md5\n');
    const good = hba.slice(0, -'host'.length);
    for (const user of ['ann', 'bob', 'c d', 'eve']) expect(decides(good, { user })).toBe('scram-sha-256');
    expect(decides(good, { user: 'names' })).toBeUndefined();
    expect([decides(good, { db: 'a' }), decides(good, { db: 'b' })]).toEqual(['md5', 'trust']);
  });

  it('an @file of nobody is no line for everybody', () => {
    save('nobody', '# empty\n');
    expect(problems('host all @nobody all trust')).toContain('its file names nobody');
  });
});

describe('user name maps', () => {
  const may = (ident: string, name: string, user: string): boolean =>
    isMapped(access('hostssl all all all cert map=m', ident).maps.get('m') ?? [], name, user);

  it.each<[line: string, yes: readonly [string, string][], no: readonly [string, string][]]>([
    [
      'm ann app',
      [['ann', 'app']],
      [
        ['ann', 'ann'],
        ['bob', 'app'],
        ['', 'app'],
      ],
    ],
    ['m ann all', [['ann', 'root']], [['bob', 'root']]],
    ['m ann "all"', [['ann', 'all']], [['ann', 'root']]],
    ['m "a n" "b c"', [['a n', 'b c']], [['a', 'b']]],
    [
      'm /^(.*)@corp$ \\1',
      [
        ['ann@corp', 'ann'],
        ['all@corp', 'all'],
        ['/x@corp', '/x'],
      ],
      [
        ['all@corp', 'root'],
        ['@corp', ''],
        ['ann@corp.evil', 'ann'],
      ],
    ],
    ['m /^(.*)@corp$ x_\\1_y', [['ann@corp', 'x_ann_y']], [['$&@corp', 'x_$&@corp_y']]],
    [
      'm /^(?:(a)|b)$ \\1',
      [['a', 'a']],
      [
        ['b', 'b'],
        ['b', ''],
        ['b', '\\1'],
      ],
    ],
    [
      'm /^ann$ /^app_',
      [['ann', 'app_1']],
      [
        ['ann', 'app'],
        ['anna', 'app_1'],
      ],
    ],
    ['m ann \\1', [['ann', '\\1']], [['ann', 'ann']]],
    ['m ann app\nother ann root', [['ann', 'app']], [['ann', 'root']]],
  ])('%s', (line, yes, no) => {
    for (const [name, user] of yes) expect(may(line, name, user), `${name} as ${user}`).toBe(true);
    for (const [name, user] of no) expect(may(line, name, user), `${name} as ${user}`).toBe(false);
  });

  it.each([
    ['m ann', 'is not "map-name system-username database-username"'],
    ['m ann app more', 'is not "map-name'],
    ['m ann,bob app', 'is not "map-name'],
    ['m ann +staff', 'who is a member of a role'],
    ['m /( app', 'ident.conf:1: the regular expression'],
    ['m /^a$ \\1', 'has no parentheses for \\1'],
    ['n ann app', 'hba.conf:1: map=m: there is none in'],
  ])('refused: %s', (line, why) => {
    expect(problems('hostssl all all all cert map=m', line)).toContain(why);
  });
});

describe('regular expressions', () => {
  it.each([
    '(a*)*',
    '(a|b)+',
    '(?:a?){3}',
    '((a)b*)+',
    'a*b*c*d*e*',
    '\\mword',
    '\\1',
    '(?=a)',
    '(?i)a',
    '(?<=a)',
    '[[:alpha:]]',
    '[]a]',
    '[^]a]',
    '[a',
    'a)',
    '(a',
    '\\',
    'a{2}{3}',
    '*a',
    '[z-a]',
    '\\ba',
  ])('%s is refused', (source) => {
    expect(compileRegex(source)).toHaveProperty('problem');
  });

  it.each([
    ['^dev_', 'dev_1', true],
    ['dev', 'a dev b', true],
    ['^(?:app|web)-[a-z0-9_]{2,8}$', 'web-ab_9', true],
    ['^a\\.b$', 'axb', false],
    ['^.*$', 'a\nb', true],
    ['^[^@]+@corp\\.example$', 'ann@corp.example', true],
    ['.', 'x'.repeat(64), false],
    ['x$', 'x\n', false],
  ] as const)('%s', (source, name, isMatch) => {
    const compiled = compileRegex(source);
    if ('problem' in compiled) throw new Error(compiled.problem);
    expect(matches(compiled.regex, name) !== null).toBe(isMatch);
  });
});

it('distinguished names', () => {
  expect(distinguishedName('CN=ann')).toBe('CN=ann');
  expect(distinguishedName('C=DE\nO=Ex\\, Inc + OU=a \\+ b\nCN=\u00e9')).toBe(
    'CN=\\C3\\A9,O=Ex\\, Inc+OU=a \\+ b,C=DE',
  );
});

describe('whatever is in the file', () => {
  const word = fc.oneof(
    fc.constantFrom('local', 'host', 'hostssl', 'all', 'sameuser', 'replication', 'trust', 'reject', 'md5', 'cert'),
    fc.constantFrom(
      '10.0.0.0/8',
      '::/0',
      '255.0.0.0',
      '"',
      '""',
      ',',
      '#',
      '\\',
      '\n',
      '@x',
      '+r',
      '/^a',
      'include',
      'map=m',
    ),
    fc.string({ maxLength: 6 }),
  );
  const text = fc
    .array(fc.tuple(word, fc.constantFrom(' ', '\t', '', ',', '\n')))
    .map((parts) => parts.flat().join(''));

  it('nothing throws, and each problem has a place', () => {
    fc.assert(
      fc.property(text, text, (hba, ident) => {
        const loaded = load(hba, ident);
        if ('access' in loaded) return loaded.access.rules.length > 0;
        return loaded.problems.every((problem) => /^[^\n]+(?::\d+: |: has no line)/.test(problem));
      }),
      { numRuns: 1_000 },
    );
  });

  it('what is quoted comes back as it was, and means nothing but itself', () => {
    const name = fc.string({ minLength: 1, maxLength: 20 }).filter((value) => !/[\r\n\0]|^\/|\\$/.test(value));
    fc.assert(
      fc.property(name, name, (user, other) => {
        const quoted = `"${user.replaceAll('"', '""')}"`;
        expect(fieldsOf(`host all ${quoted} all trust`)).toMatchObject({
          fields: { 2: [{ text: user, isQuoted: true }] },
        });
        const hba = `host all ${quoted} all trust`;
        expect(decides(hba, { user })).toBe('trust');
        if (other !== user) expect(decides(hba, { user: other })).toBeUndefined();
      }),
    );
  });

  it('an address is within the network that its bits say', () => {
    const byte = fc.integer({ min: 0, max: 255 });
    const v4 = fc.tuple(byte, byte, byte, byte);
    fc.assert(
      fc.property(v4, v4, fc.integer({ min: 0, max: 32 }), (network, client, bits) => {
        const number = (parts: readonly number[]): bigint => parts.reduce((sum, part) => sum * 256n + BigInt(part), 0n);
        const isIn = number(network) >> BigInt(32 - bits) === number(client) >> BigInt(32 - bits);
        const hba = `host all all ${network.join('.')}/${bits} trust`;
        expect(decides(hba, { from: client.join('.') })).toBe(isIn ? 'trust' : undefined);
        expect(decides(hba, { from: `::ffff:${client.join('.')}` })).toBe(isIn ? 'trust' : undefined);
      }),
    );
  });
});
