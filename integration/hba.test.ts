/**
 * auth.type hba: the same pg_hba.conf and pg_ident.conf given to PostgreSQL and to Weir, and every combination of user,
 * database, password and TLS answered by both in the same words. And reloads: a bad file changes nothing.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ConnectionOptions } from 'node:tls';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Cluster, WeirConfig, WeirProcess } from './harness/index.ts';
import {
  CertificateAuthority,
  PASSWORD,
  closeClients,
  connectPg,
  pgUrl,
  startCluster,
  startWeir,
  until,
  useCluster,
  users,
  weirConfig,
} from './harness/index.ts';

const shared = useCluster();
const dir = mkdtempSync(join(tmpdir(), 'weir-hba-'));
const save = (name: string, text: string): string => {
  writeFileSync(join(dir, name), text, { mode: 0o644 });
  return join(dir, name);
};

/** Its pg_hba.conf is ours. */
let model: Cluster;
let weir: WeirProcess;
let config: WeirConfig;

const newest = `
# the first line that fits decides
include_if_exists gone.conf
local     all           all                                     trust
host      all           ${users.reject}    127.0.0.1/32         reject
hostssl   all           ${users.tls}       all                  scram-sha-256
hostssl   all           ${users.cert}      127.0.0.0 255.0.0.0  cert map=people
hostssl   "template1"   /^app,${users.monitor} samehost         scram-sha-256 clientcert=verify-full
hostssl   template1     ${users.app2}      samehost             trust clientcert=verify-ca
host      all           ${users.trust}     127.0.0.1/32         trust
hostnossl all           @people.txt        127.0.0.1/32 \\
  password
host      sameuser,"all" all               127.0.0.1/32         scram-sha-256
host      postgres      ${users.app}       0.0.0.0/0            scram-sha-256
host      /^post        ${users.md5}       127.0.0.1/32         md5
host      replication   all                all                  trust
`;
/** Expressions for databases and users, and files that include others, are of PostgreSQL 16. */
const lines = newest.split('\n').filter((line) => shared.majorVersion >= 16 || !/\/\^|^include/.test(line));
const hba = lines.join('\n');
const ident = `
people  /^(.*)_user$   "\\1"
people  ${users.cert}  ${users.cert}
`;

const authority = new CertificateAuthority({ cert: shared.caCert, key: shared.caKey });
const asClient = (name: string): ConnectionOptions => ({ ca: shared.caCert, ...authority.client(name) });
const encryptions: [name: string, ssl: ConnectionOptions | false][] = [
  ['none', false],
  ['TLS', { ca: shared.caCert }],
  ['as cert_user', asClient(users.cert)],
  ['as app', asClient(users.app)],
];

beforeAll(async () => {
  save('people.txt', `${users.password} # and\n"${users.app2}"\n`);
  const hbaFile = save('pg_hba.conf', hba);
  const identFile = save('pg_ident.conf', ident);
  model = await startCluster({ replicas: 0 });
  const open = `host all postgres all trust\n`;
  // PostgreSQL reads it as the user it runs as.
  writeFileSync(join(model.primary.dataDir, 'people.txt'), `${users.password} # and\n"${users.app2}"\n`);
  writeFileSync(join(model.primary.dataDir, 'pg_hba.conf'), open + hba);
  writeFileSync(join(model.primary.dataDir, 'pg_ident.conf'), ident);
  await model.query('SELECT pg_reload_conf()');
  await until('PostgreSQL to have read it', async () =>
    (await outcome(model.primary, 'nobody', 'postgres', 'x', false)).startsWith('28000'),
  );
  const server = authority.server();
  const tls = {
    client: {
      cert: save('cert.pem', server.cert),
      key: save('key.pem', server.key),
      ca: save('ca.pem', shared.caCert),
    },
  };
  const databases = Object.fromEntries(
    ['postgres', 'template1', users.app2].map((name) => [
      name,
      { primary: { url: pgUrl(shared.primary, { database: 'postgres' }), name: 'primary' } },
    ]),
  );
  config = { ...weirConfig(shared), auth: { type: 'hba', hba_file: hbaFile, ident_file: identFile }, tls, databases };
  weir = await startWeir(config);
});

afterAll(async () => {
  await closeClients();
  await weir.stop();
  await model.stop();
  rmSync(dir, { recursive: true });
});

/** "in", or SQLSTATE and message. Who is in, but finds no such database, is in. */
async function outcome(
  at: { host: string; port: number },
  user: string,
  database: string,
  password: string,
  ssl: ConnectionOptions | false,
): Promise<string> {
  try {
    const client = await connectPg(pgUrl(at, { user, database, password }), { ssl });
    await client.end();
    return 'in';
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    return code === '3D000' ? 'in' : `${code ?? ''} ${message}`;
  }
}

test('every combination is answered as PostgreSQL answers it', async () => {
  const names = [...Object.values(users), 'nobody'];
  const seen = new Map<string, number>();
  for (const [encryption, ssl] of encryptions) {
    for (const database of ['postgres', 'template1', users.app2]) {
      for (const user of names) {
        for (const password of [PASSWORD, 'wrong']) {
          const [theirs, ours] = await Promise.all([
            outcome(model.primary, user, database, password, ssl),
            outcome(weir, user, database, password, ssl),
          ]);
          expect(ours, `${user} of ${database}, TLS: ${encryption}, password ${password}`).toBe(theirs);
          const kind = ours.replace(/".*/, '');
          seen.set(kind, (seen.get(kind) ?? 0) + 1);
        }
      }
    }
  }
  // All of the ways in and out were gone.
  expect([...seen.keys()].sort()).toEqual([
    '28000 certificate authentication failed for user ',
    '28000 connection requires a valid client certificate',
    '28000 no pg_hba.conf entry for host ',
    '28000 pg_hba.conf rejects connection for host ',
    '28P01 password authentication failed for user ',
    'in',
  ]);
});

/** Reads the files again, until Weir has. */
async function reload(isDone: () => boolean | Promise<boolean>): Promise<void> {
  weir.signal('SIGHUP');
  await until('the reload', isDone);
}

const nobody = (): Promise<string> => outcome(weir, 'nobody', 'postgres', 'x', false);

test('both names of the admin console are meant by a rule about one', async () => {
  for (const [name, other] of [
    ['weir', 'a'],
    ['pgbouncer', 'b'],
  ]) {
    save('pg_hba.conf', `host all ${other} all trust\nhost ${name} all all reject\nhost all app all trust\n`);
    await reload(async () => (await outcome(weir, other!, 'postgres', '', false)) === 'in');
    for (const database of ['weir', 'pgbouncer']) {
      expect(await outcome(weir, 'weir', database, PASSWORD, false)).toBe(
        `28000 pg_hba.conf rejects connection for host "127.0.0.1", user "weir", database "weir", no encryption`,
      );
    }
    expect(await outcome(weir, 'app', 'postgres', PASSWORD, false)).toBe('in');
  }
});

test('a reload reads both files again; a bad one changes nothing and names the line', async () => {
  save('pg_hba.conf', 'host all all all trust\n');
  await reload(async () => (await nobody()) === 'in');
  const session = await connectPg(weir.url());
  save('pg_hba.conf', 'host all all all reject\nhost all all all no_such_method\n');
  await reload(() => weir.output.includes('pg_hba.conf:2: the method "no_such_method" is not supported'));
  save('pg_hba.conf', 'hostssl all all all cert map=people\nhost all nobody all trust\n');
  save('pg_ident.conf', 'people');
  await reload(() => weir.output.includes('pg_ident.conf:1: is not "map-name'));
  expect(await outcome(weir, 'app', 'postgres', 'x', false)).toBe('in');
  save('pg_ident.conf', ident);
  save('pg_hba.conf', 'host all all all reject\n');
  await reload(async () => (await nobody()).startsWith('28000 pg_hba.conf rejects'));
  // Who is in stays in.
  expect((await session.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
});

test('a line that can let nobody in is warned of at each reload that has it, by SIGHUP and on the console', async () => {
  const warned = (): number =>
    weir.logs.filter(
      ({ event, level, msg }) =>
        event === 'configuration' && level === 'warn' && /pg_hba\.conf:1: peer/.test(String(msg)),
    ).length;
  expect(warned()).toBe(0);
  save('pg_hba.conf', 'local all all peer\nhost all all all scram-sha-256\n');
  await reload(() => warned() > 0);
  const before = warned();
  const console = await connectPg(weir.adminUrl());
  await console.query('RELOAD');
  await until('the warning', () => warned() > before);
  await console.end();
});

test('nothing starts with a bad file, and every problem is named at once', async () => {
  const hbaFile = save('bad.conf', 'host all all db.example.com md5\nhost all all all peer\n');
  const refused = await startWeir({ ...config, auth: { type: 'hba', hba_file: hbaFile } }).then(
    () => 'started',
    (error: Error) => error.message,
  );
  expect(refused).toContain('bad.conf:1: "db.example.com" is not an address');
  expect(refused).toContain('bad.conf:2: peer is possible with local only');
});
