/**
 * Drivers of other languages, as Debian ships them, with SCRAM over TLS: one program for each does what its users do
 * (pools, prepared statements, COPY, cursors, notifications, cancels, time-outs, savepoints), and must print through
 * Weir, in transaction mode on fewer servers than clients and in session mode, what it prints straight to PostgreSQL.
 * What a machine lacks is skipped, and named.
 */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Command, Driver } from './harness/drivers.ts';
import { findDrivers } from './harness/drivers.ts';
import {
  CertificateAuthority,
  currentRun,
  PASSWORD,
  runProgram,
  startWeir,
  useCluster,
  users,
  weirConfig,
} from './harness/index.ts';
import type { WeirConfig, WeirProcess } from './harness/index.ts';

const cluster = useCluster();
const fewServers = { default_pool_size: 3, max_pool_size: 3, resize: { enabled: false } };
const modes: Readonly<Record<string, WeirConfig>> = {
  'without the cache': { ...fewServers, cache: { enabled: false } },
  'with the cache': { ...fewServers, cache: { enabled: true } },
  'in session mode': { pool_mode: 'session' },
};
/** One each, so that they can run at the same time. */
const weirs = new Map<string, { weir: WeirProcess; database: string }>();
let dir: string;
let straightDatabase: string;

beforeAll(async () => {
  straightDatabase = await cluster.createDatabase();
  dir = mkdtempSync(join(currentRun().dir, 'drivers-'));
  // The authority of the servers' certificates: clients need to trust nobody else, straight or not.
  const { cert, key } = new CertificateAuthority({ cert: cluster.caCert, key: cluster.caKey }).server();
  writeFileSync(join(dir, 'ca.pem'), cluster.caCert);
  writeFileSync(join(dir, 'cert.pem'), cert);
  writeFileSync(join(dir, 'key.pem'), key, { mode: 0o600 });
  const tls = { client: { mode: 'require', cert: join(dir, 'cert.pem'), key: join(dir, 'key.pem') } };
  for (const [name, more] of Object.entries(modes)) {
    const database = await cluster.createDatabase();
    // One client reads what another has just changed: that is for the primary.
    const config = weirConfig(cluster, { database, replicas: [] }, { ...more, tls });
    weirs.set(name, { weir: await startWeir(config), database });
  }
});
afterAll(async () => {
  for (const { weir, database } of weirs.values()) {
    await weir.stop();
    await cluster.dropDatabase(database);
  }
  await cluster.dropDatabase(straightDatabase);
});

/** What it prints; fails if it did not end well. */
async function transcript({ program, args, env }: Command, port: number, database: string): Promise<string> {
  await cluster.query('DROP TABLE IF EXISTS thing', { database });
  const at = { PGHOST: '127.0.0.1', PGPORT: String(port), PGDATABASE: database, PGUSER: users.app };
  const tls = { PGPASSWORD: PASSWORD, PGSSLMODE: 'verify-full', PGSSLROOTCERT: join(dir, 'ca.pem') };
  const all = { ...at, ...tls, TZ: 'UTC', ...env };
  const done = await runProgram(program, args, { cwd: dir, env: all, timeoutMs: 120_000 });
  const { code, stdout, stderr } = done;
  expect({ code, stderr, last: stdout.trimEnd().split('\n').at(-1) }, stdout).toEqual({
    ...{ code: 0, stderr: '', last: '== end' },
  });
  return stdout;
}

const drivers = findDrivers().map((driver): [string, Driver] => [`${driver.name} (needs ${driver.needs})`, driver]);

describe.each(drivers)('%s', (_title, { prepare }) => {
  describe.skipIf(prepare === undefined)('prints what it prints straight to PostgreSQL', () => {
    let command: Command;
    let straight: string;
    beforeAll(async () => {
      if (prepare === undefined) return;
      command = await prepare(dir);
      straight = await transcript(command, cluster.primary.port, straightDatabase);
    });

    test.concurrent.each(Object.keys(modes))('%s', async (mode) => {
      const { weir, database } = weirs.get(mode) ?? { weir: undefined, database: '' };
      if (weir === undefined) throw new Error(`no Weir ${mode}`);
      expect(await transcript(command, weir.port, database)).toBe(straight);
    });
  });
});
