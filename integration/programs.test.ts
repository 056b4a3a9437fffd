/**
 * PostgreSQL's own programs through Weir in transaction mode: psql, pgbench in its three modes, pg_dump and pg_restore,
 * with SCRAM, and psql over TLS, too. What a machine lacks is skipped; the reason is in the test's name.
 */
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  CertificateAuthority,
  connectPg,
  currentRun,
  findProgram,
  PASSWORD,
  pgUrl,
  runProgram,
  runPsql,
  startCluster,
  startWeir,
  useCluster,
  weirConfig,
} from './harness/index.ts';
import type { ClusterView, WeirProcess } from './harness/index.ts';
import { majorVersionOf, serverBin } from './harness/programs.ts';

const shared = useCluster();
let cluster: ClusterView;
let ownCluster: Awaited<ReturnType<typeof startCluster>> | undefined;
let weir: WeirProcess;
let dir: string;
let database: string;

// pg_dump refuses a server newer than itself: then the servers are those that came with it, if they did.
const dumpVersion = findProgram('pg_restore') === undefined ? undefined : majorVersionOf('pg_dump');
const isDumpOld = dumpVersion !== undefined && dumpVersion < shared.majorVersion;
const oldBin = isDumpOld ? serverBin(dumpVersion) : undefined;
const canDump = dumpVersion !== undefined && (!isDumpOld || oldBin !== undefined);

beforeAll(async () => {
  if (oldBin !== undefined) ownCluster = await startCluster({ replicas: 1, bin: oldBin });
  cluster = ownCluster ?? shared;
  database = await cluster.createDatabase();
  dir = mkdtempSync(join(currentRun().dir, 'programs-'));
  const authority = new CertificateAuthority();
  const { cert, key } = authority.server();
  writeFileSync(join(dir, 'ca.pem'), authority.ca.cert);
  writeFileSync(join(dir, 'cert.pem'), cert);
  writeFileSync(join(dir, 'key.pem'), key, { mode: 0o600 });
  const client = { mode: 'prefer', cert: join(dir, 'cert.pem'), key: join(dir, 'key.pem') };
  const pool = { default_pool_size: 4, max_pool_size: 4, resize: { enabled: false } };
  const config = weirConfig(cluster, { database }, { ...pool, tls: { client } });
  const node = (config['databases'] as Record<string, unknown>)[database];
  // pg_restore fills another database, through the same Weir.
  weir = await startWeir({ ...config, databases: { [database]: node, '*': everyName(cluster) } });
});
afterAll(async () => {
  await weir.stop();
  await ownCluster?.stop();
});

function everyName(of: ClusterView): Record<string, unknown> {
  const at = (port: number): string => `postgres://app:${PASSWORD}@127.0.0.1:${port}`;
  return { primary: at(of.primary.port), replicas: of.replicas.map(({ port }) => at(port)) };
}

const lacks = (program: string): boolean => findProgram(program) === undefined;
const url = (more = '', name = database): string => pgUrl(weir, { database: name }) + more;

async function run(name: string, args: readonly string[], input?: string): Promise<string> {
  const program = findProgram(name);
  if (program === undefined) throw new Error(`${name} is not installed`);
  const done = await runProgram(program, args, { cwd: dir, ...(input === undefined ? {} : { input }) });
  expect({ code: done.code, stderr: done.code === 0 ? '' : done.stderr }).toEqual({ code: 0, stderr: '' });
  return done.stdout + done.stderr;
}

describe.skipIf(lacks('psql')).each([
  { how: 'SCRAM', more: () => '?sslmode=disable' },
  { how: 'SCRAM over TLS', more: () => `?sslmode=verify-full&sslrootcert=${join(dir, 'ca.pem')}` },
])('psql, $how (needs psql)', ({ how, more }) => {
  const table = how === 'SCRAM' ? 'plain_table' : 'tls_table';
  const psql = async (sql: string, args: readonly string[] = []): Promise<string> => {
    const done = await runPsql(url(more()), sql, args);
    expect({ code: done.code, stderr: done.stderr }).toEqual({ code: 0, stderr: '' });
    return done.stdout;
  };

  test('is encrypted when it asks for it', async () => {
    const said = await psql('\\conninfo\n');
    expect(/SSL connection|TLS/.test(said)).toBe(how !== 'SCRAM');
  });

  test('\\copy both ways', async () => {
    const [from, to] = [join(dir, 'from.csv'), join(dir, 'to.csv')];
    const lines = Array.from({ length: 3000 }, (_, i) => `${i},"item, ${i}"\n`).join('');
    writeFileSync(from, lines);
    await psql(`CREATE TABLE ${table} (id int PRIMARY KEY, name text);
\\copy ${table} FROM '${from}' WITH (FORMAT csv)
\\copy (SELECT * FROM ${table} ORDER BY id) TO '${to}' WITH (FORMAT csv)
`);
    expect(readFileSync(to, 'utf8').replaceAll('"', '')).toBe(lines.replaceAll('"', ''));
  });

  test('\\d, \\dt+, \\df, \\l and \\x ask the catalog', async () => {
    const said = await psql(`\\d ${table}\n\\dt+\n\\df\n\\l\n\\dn\n\\du\n\\x\nSELECT 1 AS one;\n`);
    expect(said).toContain('id|integer||not null|');
    expect(said).toContain('one|1');
  });

  test('\\gexec runs what a query wrote, \\gset keeps it, \\watch repeats', async () => {
    const said = await psql(`SELECT format('SELECT %s * 10;', n) FROM generate_series(1, 3) n \\gexec
SELECT 42 AS answer \\gset
SELECT :answer;
`);
    expect(said).toBe('10\n20\n30\n42\n');
    // Repeats until it fails: division by what is left.
    const watched = await runPsql(
      url(more()),
      `CREATE SEQUENCE ${table}_left INCREMENT -1 MINVALUE 0 MAXVALUE 2 START 2;\nSELECT 4 / nextval('${table}_left') \\watch 0.01\n`,
    );
    expect(watched.stdout.match(/^[24]$/gm)).toEqual(['2', '4']);
    expect(watched.stderr).toContain('division by zero');
  });

  test('-c with several statements is one transaction; several -c are not', async () => {
    const arg = ['-c', `INSERT INTO ${table} VALUES (-1, 'a'); SELECT 1/0`];
    const failed = await runPsql(url(more()), '', arg);
    expect([failed.code, failed.stderr]).toEqual([1, expect.stringContaining('division by zero')]);
    expect(await psql('', ['-c', `SELECT count(*) FROM ${table} WHERE id = -1`])).toBe('0\n');
    const several = ['-c', `INSERT INTO ${table} VALUES (-2, 'b')`, '-c', `SELECT name FROM ${table} WHERE id = -2`];
    expect(await psql('', several)).toBe('b\n');
  });

  test('a script in one transaction, with ON_ERROR_ROLLBACK between statements', async () => {
    const script = `\\set ON_ERROR_STOP 0
\\set ON_ERROR_ROLLBACK on
BEGIN;
INSERT INTO ${table} VALUES (-3, 'kept');
INSERT INTO ${table} VALUES (-3, 'twice');
COMMIT;
SELECT name FROM ${table} WHERE id = -3;
`;
    const done = await runPsql(url(more()), script);
    expect([done.stdout, done.stderr]).toEqual(['kept\n', expect.stringContaining('duplicate key')]);
  });
});

describe.skipIf(lacks('pgbench'))('pgbench (needs pgbench)', () => {
  beforeAll(() => run('pgbench', ['-i', '-q', '-s', '1', url()]), 60_000);

  test.each(['simple', 'extended', 'prepared'])('-M %s: TPC-B and reads by more clients than servers', async (mode) => {
    const before = await sums();
    // One thread: pgbench waits for the answer to Prepare, and with it all of its clients.
    const load = ['-n', '-M', mode, '-c', '16', '-j', '1', '-t', '25', '--max-tries=3'];
    for (const builtin of ['tpcb-like', 'select-only', 'simple-update']) {
      const said = await run('pgbench', [...load, '-b', builtin, url()]);
      expect(said).toContain('number of transactions actually processed: 400/400');
      expect(said).not.toMatch(/error|aborted/);
    }
    const after = await sums();
    expect(after.rows - before.rows).toBe(800);
    // Every transaction was kept whole.
    expect(after.accounts).toBe(after.deltas);
    expect(after.branches).toBe(after.tellers);
  });

  interface Sums {
    readonly rows: number;
    readonly deltas: number;
    readonly accounts: number;
    readonly tellers: number;
    readonly branches: number;
  }

  async function sums(): Promise<Sums> {
    const [row] = await cluster.query<Sums & Record<string, unknown>>(
      `SELECT (SELECT count(*)::int FROM pgbench_history) AS rows,
        (SELECT coalesce(sum(delta), 0)::int FROM pgbench_history) AS deltas,
        (SELECT sum(abalance)::int FROM pgbench_accounts) AS accounts,
        (SELECT sum(tbalance)::int FROM pgbench_tellers) AS tellers,
        (SELECT sum(bbalance)::int FROM pgbench_branches) AS branches`,
      { database },
    );
    if (row === undefined) throw new Error('no row');
    return row;
  }
});

describe.skipIf(!canDump)('pg_dump and pg_restore (need both, and servers that are not newer)', () => {
  const schema = `
    CREATE SCHEMA app;
    CREATE TYPE app.mood AS ENUM ('sad', 'happy');
    CREATE TABLE app.person (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, mood app.mood);
    CREATE TABLE app.pet (person_id int REFERENCES app.person, name text, photo bytea);
    CREATE INDEX ON app.pet (name);
    CREATE VIEW app.happy AS SELECT * FROM app.person WHERE mood = 'happy';
    CREATE FUNCTION app.shout(t text) RETURNS text LANGUAGE sql IMMUTABLE RETURN upper(t);
    INSERT INTO app.person (name, mood)
      SELECT 'person ' || n, (ARRAY['sad', 'happy'])[1 + n % 2]::app.mood FROM generate_series(1, 500) n;
    INSERT INTO app.pet SELECT n, E'pet\\t' || n, decode(md5(n::text), 'hex') FROM generate_series(1, 500) n;`;
  const contents = `SELECT (SELECT md5(string_agg(p::text, ',' ORDER BY id)) FROM app.person p) AS persons,
    (SELECT md5(string_agg(p::text, ',' ORDER BY person_id)) FROM app.pet p) AS pets,
    (SELECT count(*)::int FROM app.happy) AS happy, app.shout('x') AS shout`;

  beforeAll(async () => {
    const client = await connectPg(cluster.url(cluster.primary, { database }));
    await client.query(schema);
    await client.end();
  });

  test.each([
    { what: 'plain SQL', dump: ['-Fp'], restore: 'psql' },
    { what: 'custom format', dump: ['-Fc'], restore: 'pg_restore' },
    { what: 'directory format by two jobs', dump: ['-Fd', '-j', '2'], restore: 'pg_restore' },
  ])('$what', async ({ dump, restore }) => {
    const file = join(dir, `dump${dump.join('')}`);
    await run('pg_dump', [...dump, '-n', 'app', '--no-owner', '-f', file, '-d', url()]);
    expect(existsSync(file)).toBe(true);
    const target = await cluster.createDatabase();
    const into = ['-d', url('', target)];
    const jobs = dump.includes('-j') ? ['-j', '2'] : [];
    if (restore === 'psql') await run('psql', ['-X', '-q', '-v', 'ON_ERROR_STOP=1', '-1', '-f', file, ...into]);
    else await run('pg_restore', ['--no-owner', '--exit-on-error', ...jobs, ...into, file]);
    expect(await cluster.query(contents, { database: target })).toEqual(await cluster.query(contents, { database }));
    await cluster.dropDatabase(target);
  });
});
