/**
 * A data directory made once per run (initdb, users, certificates) and copied for every node of every cluster: a copy
 * of a cleanly stopped server is a valid primary and a valid start for a standby. Called by cluster.ts.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { findPgBinaries } from './binaries.ts';
import type { PgBinaries } from './binaries.ts';
import { CertificateAuthority } from './certs.ts';
import type { Certificate } from './certs.ts';
import type { RunDir } from './run-dir.ts';

/** Users of every cluster, all with the password PASSWORD; those named after a method must log in by it. */
export const PASSWORD = 'weir-test-password';
export const SUPERUSER = 'postgres';
export const users = {
  /** Owner of the test databases; SCRAM-SHA-256, as everybody who has no line of his own. */
  app: 'app',
  /** A second ordinary user. */
  app2: 'app2',
  /** SCRAM-SHA-256, member of pg_monitor. */
  monitor: 'monitor',
  trust: 'trust_user',
  md5: 'md5_user',
  password: 'password_user',
  /** Client certificate with this common name, over TLS. */
  cert: 'cert_user',
  /** SCRAM-SHA-256, refused without TLS. */
  tls: 'tls_user',
  /** Always refused. */
  reject: 'reject_user',
  replicator: 'replicator',
} as const;

export interface Template {
  readonly dir: string;
  readonly binaries: PgBinaries;
  /** The authority that signed the servers' certificates and that they trust for clients'. */
  readonly ca: Certificate;
}

const hba = `
host    all          ${users.trust}     127.0.0.1/32  trust
host    all          ${users.md5}       127.0.0.1/32  md5
host    all          ${users.password}  127.0.0.1/32  password
hostssl all          ${users.cert}      127.0.0.1/32  cert
hostssl all          ${users.tls}       127.0.0.1/32  scram-sha-256
hostnossl all        ${users.tls}       127.0.0.1/32  reject
host    all          ${users.reject}    127.0.0.1/32  reject
host    replication  all                127.0.0.1/32  scram-sha-256
host    all          all                127.0.0.1/32  scram-sha-256
`;

function settings(majorVersion: number): string {
  return `
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 200
shared_buffers = 32MB
fsync = off
full_page_writes = off
autovacuum = off
jit = off
wal_level = logical
max_wal_senders = 10
max_replication_slots = 10
max_prepared_transactions = 20
wal_keep_size = 2GB
hot_standby = on
hot_standby_feedback = on
wal_receiver_status_interval = 1s
wal_retrieve_retry_interval = 200ms
max_standby_streaming_delay = 5s
ssl = on
ssl_cert_file = 'server.crt'
ssl_key_file = 'server.key'
ssl_ca_file = 'ca.crt'
timezone = 'UTC'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] %u@%d '
lc_messages = 'C'
datestyle = 'iso, mdy'
default_text_search_config = 'pg_catalog.english'
${majorVersion >= 18 ? 'io_method = sync\nmd5_password_warnings = off' : ''}
`;
}

function roles(): string[] {
  const role = (name: string, more = ''): string => `CREATE ROLE ${name} LOGIN PASSWORD '${PASSWORD}' ${more};`;
  const { replicator, md5, monitor, ...rest } = users;
  return [
    `ALTER ROLE ${SUPERUSER} PASSWORD '${PASSWORD}';`,
    ...Object.values(rest).map((name) => role(name)),
    role(monitor, 'IN ROLE pg_monitor'),
    role(replicator, 'REPLICATION'),
    `SET password_encryption = 'md5';`,
    role(md5),
  ];
}

/** Runs a program as the servers' user; throws with what it said when it fails. */
export function runAsServer(run: RunDir, program: string, args: readonly string[], input?: string): void {
  const as = run.user === undefined ? {} : { uid: run.user.uid, gid: run.user.gid };
  const env = { ...process.env, HOME: run.dir, LC_ALL: 'C' };
  const done = spawnSync(program, args, {
    ...as,
    cwd: run.dir,
    env,
    encoding: 'utf8',
    ...(input === undefined ? {} : { input }),
  });
  if (done.status !== 0) throw new Error(`${program} failed: ${done.error?.message ?? done.stdout + done.stderr}`);
}

/** A directory below the run's that the servers' user can write to. */
export function serverDir(run: RunDir, name: string): string {
  const dir = join(run.dir, name);
  mkdirSync(dir, { recursive: true });
  if (run.user !== undefined) runAs(run, 'chown', ['-R', `${run.user.uid}:${run.user.gid}`, dir]);
  return dir;
}

function runAs(run: RunDir, program: string, args: readonly string[]): void {
  const done = spawnSync(program, args, { encoding: 'utf8', cwd: run.dir });
  if (done.status !== 0) throw new Error(`${program} failed: ${done.stderr}`);
}

let templates = 0;

/** Opens the template that this run, or the one around it, already has; else makes it. With `bin`, one of that bin's own. */
export function openTemplate(run: RunDir, bin?: string): Template {
  if (bin !== undefined) return makeTemplate(run, serverDir(run, `template${++templates}`), bin);
  const made = [dirname(run.dir), run.dir].map((dir) => join(dir, 'template.json')).find((file) => existsSync(file));
  if (made !== undefined) return JSON.parse(readFileSync(made, 'utf8')) as Template;
  const template = makeTemplate(run, serverDir(run, 'template'));
  writeFileSync(join(run.dir, 'template.json'), JSON.stringify(template), { mode: 0o600 });
  return template;
}

function makeTemplate(run: RunDir, home: string, bin?: string): Template {
  const binaries = findPgBinaries(run, bin);
  const data = join(home, 'data');
  const ca = new CertificateAuthority();
  runAsServer(run, binaries.initdb, [
    ...['-D', data, '-U', SUPERUSER, '-E', 'UTF8', '--locale=C', '-A', 'scram-sha-256', '--wal-segsize=4', '-N'],
    ...['--pwfile', passwordFile(run)],
  ]);
  const server = ca.server();
  const files: Record<string, string> = {
    'postgresql.conf': settings(binaries.majorVersion),
    'pg_hba.conf': hba,
    'ca.crt': ca.ca.cert,
    'server.crt': server.cert,
    'server.key': server.key,
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(data, name), text, { mode: 0o600 });
  serverDir(run, basename(home));
  runAsServer(run, binaries.postgres, ['--single', '-D', data, 'postgres'], roles().join('\n') + '\n');
  return { dir: data, binaries, ca: ca.ca };
}

function passwordFile(run: RunDir): string {
  const file = join(serverDir(run, 'secret'), 'password');
  writeFileSync(file, PASSWORD);
  return file;
}

/** Copies the template's data directory; the copy belongs to the servers' user. */
export function copyTemplate(run: RunDir, template: Template, to: string): void {
  runAsServer(run, 'cp', ['-R', '-p', template.dir, to]);
}
