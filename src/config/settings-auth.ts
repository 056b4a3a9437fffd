/**
 * The part of the table of settings about who may come in and what is encrypted: `auth` and `tls`. Put together with the
 * others in settings.ts.
 */
import { authTypes } from '../auth/methods/table.ts';
import type { Setting } from './setting.ts';
import { setting } from './setting.ts';
import { list, oneOf, optional, string } from './values.ts';

const tlsModes = oneOf(['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full']);
const pemFile = optional(string('a file name (PEM)'));
const userNames = list('user names');

export const authSettings = {
  'auth.type': setting(
    oneOf(authTypes),
    'scram-sha-256',
    'reload',
    'How clients prove who they are; hba: as auth.hba_file says for each connection.',
    (c) => c.auth.type,
  ),
  'auth.file': setting(
    optional(string('a file name')),
    'users.txt',
    'reload',
    'File of "name" "secret" lines, as auth_file of PgBouncer; relative to the configuration file, and the default need not exist.',
    (c) => c.auth.file,
  ),
  'auth.hba_file': setting(
    optional(string('a file name')),
    undefined,
    'reload',
    'Who may come in from where and how, in the format of pg_hba.conf; for auth.type hba.',
    (c) => c.auth.hbaFile,
  ),
  'auth.ident_file': setting(
    optional(string('a file name')),
    undefined,
    'reload',
    'User name maps in the format of pg_ident.conf, for map= in auth.hba_file.',
    (c) => c.auth.identFile,
  ),
  'auth.query': setting(
    optional(string('a query with $1 that gives user name and secret, or "default"')),
    undefined,
    'reload',
    'Asks the primary of the client’s database, as auth.user, for the secret of a user ($1) who is not in auth.file; `default` reads pg_authid. search_path is empty: write schema.function($1).',
    (c) => c.auth.query,
  ),
  'auth.user': setting(
    optional(string('a user name')),
    undefined,
    'reload',
    'Who runs auth.query, and whom Weir logs in as to watch a server whose URL names no user (lag, catalog); its secret is in auth.file.',
    (c) => c.auth.user,
  ),
  'auth.dbname': setting(
    optional(string('a database name')),
    undefined,
    'reload',
    'Name of the one database whose primary answers auth.query for clients of all; null = the client’s own database.',
    (c) => c.auth.dbname,
  ),
  'auth.admin_users': setting(
    userNames,
    ['weir'],
    'reload',
    'Users who may run every command of the admin console.',
    (c) => c.auth.adminUsers,
  ),
  'auth.stats_users': setting(
    userNames,
    [],
    'reload',
    'Users who may run SHOW on the admin console.',
    (c) => c.auth.statsUsers,
  ),
  'tls.client.mode': setting(
    tlsModes,
    'prefer',
    'reload',
    'TLS with clients; without a certificate, disable, allow and prefer simply do not offer it.',
    (c) => c.tls.client.mode,
  ),
  'tls.client.cert': setting(
    pemFile,
    undefined,
    'reload',
    'Certificate shown to clients; a reload reads the file again.',
    (c) => c.tls.client.cert,
  ),
  'tls.client.key': setting(pemFile, undefined, 'reload', 'Private key of that certificate.', (c) => c.tls.client.key),
  'tls.client.ca': setting(
    pemFile,
    undefined,
    'reload',
    'Authority that must have signed the certificates of clients; needed by verify-ca, verify-full and auth.type cert.',
    (c) => c.tls.client.ca,
  ),
  'tls.server.mode': setting(
    tlsModes,
    'prefer',
    'reload',
    'TLS with servers; the modes are those of sslmode in libpq.',
    (c) => c.tls.server.mode,
  ),
  'tls.server.ca': setting(
    pemFile,
    undefined,
    'reload',
    'Authority that must have signed the certificates of servers; needed by verify-ca and verify-full.',
    (c) => c.tls.server.ca,
  ),
  'tls.server.cert': setting(
    pemFile,
    undefined,
    'reload',
    'Client certificate that Weir shows to servers.',
    (c) => c.tls.server.cert,
  ),
  'tls.server.key': setting(pemFile, undefined, 'reload', 'Private key of that certificate.', (c) => c.tls.server.key),
} as const satisfies Readonly<Record<string, Setting<unknown>>>;
