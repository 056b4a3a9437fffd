/**
 * docs/security.md is tried: its configuration and its hba.conf, with addresses and names of this machine, let in whom they name, and
 * refuse what the page says, in its words.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ConnectionOptions } from 'node:tls';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import {
  CertificateAuthority,
  PASSWORD,
  closeClients,
  connectPg,
  freePorts,
  pgUrl,
  runProgram,
  startWeir,
  useCluster,
  users,
} from './harness/index.ts';
import type { WeirProcess } from './harness/index.ts';
import { checkoutDir } from './harness/run-dir.ts';

const cluster = useCluster();
const dir = mkdtempSync(join(tmpdir(), 'weir-security-'));
const page = readFileSync(join(checkoutDir, 'docs/security.md'), 'utf8');
const [config = '', hba = ''] = [...page.matchAll(/^```\w*\n([\s\S]*?)^```$/gm)].map(([, block = '']) => block);
const save = (name: string, text: string): void => writeFileSync(join(dir, name), text, { mode: 0o600 });

let database: string;
let weir: WeirProcess;
let yaml: string;

beforeAll(async () => {
  database = await cluster.createDatabase();
  const [port = 0, httpPort = 0] = await freePorts(2);
  const { cert, key } = new CertificateAuthority({ cert: cluster.caCert, key: cluster.caKey }).server();
  save('weir.pem', cert);
  save('weir.key', key);
  save('ca.pem', cluster.caCert);
  save('users.txt', [users.monitor, users.app, 'weir', 'grafana'].map((name) => `"${name}" "${PASSWORD}"\n`).join(''));
  save(
    'hba.conf',
    hba.replaceAll(/10\.0\.0\.0\/\d+/g, '127.0.0.1/32').replace(/\bshop +app /, `${database} ${users.app} `),
  );
  yaml = config
    .replace(/ +#.*$/gm, '')
    .replace('10.0.0.5:6432', `127.0.0.1:${port}`)
    .replace('127.0.0.1:9432', `127.0.0.1:${httpPort}`)
    .replace('/run/weir', dir)
    .replace('weir_monitor', users.monitor)
    .replace(/\b(users\.txt|hba\.conf|weir\.pem|weir\.key|ca\.pem)\b/g, (name) => join(dir, name));
  yaml += `databases: { ${database}: { primary: "postgres://localhost:${cluster.primary.port}/${database}" } }\n`;
  weir = await startWeir(yaml);
});
afterEach(closeClients);
afterAll(async () => {
  await weir.stop();
  await cluster.dropDatabase(database);
  rmSync(dir, { recursive: true });
});

const tls: ConnectionOptions = { ca: cluster.caCert };

/** "in", or why not. */
async function comesIn(user: string, where: string, ssl: ConnectionOptions | false = tls): Promise<string> {
  try {
    await connectPg(pgUrl(weir, { user, database: where }), { ssl });
    return 'in';
  } catch (error) {
    return (error as Error).message;
  }
}

test('those whom it names come in, with TLS', async () => {
  expect(await comesIn(users.app, database)).toBe('in');
  expect(await comesIn('weir', 'weir')).toBe('in');
  expect(await comesIn('grafana', 'weir')).toBe('in');
});

test('what the page says is refused, in its words', async () => {
  for (const words of [
    'connection requires TLS',
    'no pg_hba.conf entry for host',
    'pg_hba.conf rejects connection',
    'user "grafana" may not run KILL',
    'not a name of this Weir',
    'self-signed certificate in certificate chain',
  ])
    expect(page).toContain(words);
  expect(await comesIn(users.app, database, false)).toContain('connection requires TLS');
  expect(await comesIn(users.app2, database)).toContain('no pg_hba.conf entry for host');
  expect(await comesIn(users.app, 'weir')).toContain('pg_hba.conf rejects connection');
  const grafana = await connectPg(pgUrl(weir, { user: 'grafana', database: 'weir' }), { ssl: tls });
  await expect(grafana.query(`KILL ${database}`)).rejects.toThrow('user "grafana" may not run KILL');
  const refused = await new Promise<{ status: number | undefined; body: string }>((resolve, reject) => {
    const headers = { host: 'evil.example.org' };
    get({ host: '127.0.0.1', port: weir.httpPort, path: '/metrics', headers }, (answer) => {
      let body = '';
      answer.on('data', (chunk: Buffer) => (body += chunk.toString()));
      answer.on('end', () => resolve({ status: answer.statusCode, body }));
    }).on('error', reject);
  });
  expect(refused.status).toBe(421);
  expect(refused.body).toContain('not a name of this Weir');
});

test('weir check finds all well, and no secret that lies open; and a server of another authority', async () => {
  const check = (text: string): ReturnType<typeof runProgram> => {
    save('weir.yaml', text);
    return runProgram(process.execPath, [join(checkoutDir, 'bin/weir.js'), 'check', join(dir, 'weir.yaml')]);
  };
  const fine = await check(yaml);
  expect(fine.stdout + fine.stderr).toContain('everything is fine');
  expect(fine.stderr).not.toContain('can read');
  save('other.pem', new CertificateAuthority(undefined, 'Another CA').ca.cert);
  const other = await check(yaml.replace(join(dir, 'ca.pem'), join(dir, 'other.pem')));
  expect(other.code).toBe(1);
  expect(other.stderr).toContain('self-signed certificate in certificate chain');
});
