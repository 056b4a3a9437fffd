/**
 * The part of the table of settings about who may come in and what is encrypted: `auth` and `tls`. Put together with the
 * others in settings.ts.
 */
import { authTypes } from '../auth/methods/table.ts';
import type { Rows } from './setting.ts';
import { setting } from './setting.ts';
import { list, oneOf, optional, string } from './values.ts';
import type { Parsed, ValueType } from './values.ts';

const tlsModes = oneOf(['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full']);
const pemFile = optional(string('a file name (PEM)'));
const userNames = list('user names');

export const authRows = {
  'auth.type': setting(
    'type',
    oneOf(authTypes),
    'scram-sha-256',
    'reload',
    'How clients prove who they are; hba: as auth.hba_file says for each connection.',
  ),
  'auth.file': setting(
    'file',
    optional(string('a file name')),
    'users.txt',
    'reload',
    'File of "name" "secret" lines, as auth_file of PgBouncer; relative to the configuration file, and the default need not exist.',
  ),
  'auth.hba_file': setting(
    'hbaFile',
    optional(string('a file name')),
    undefined,
    'reload',
    'Who may come in from where and how, in the format of pg_hba.conf; for auth.type hba.',
  ),
  'auth.ident_file': setting(
    'identFile',
    optional(string('a file name')),
    undefined,
    'reload',
    'User name maps in the format of pg_ident.conf, for map= in auth.hba_file.',
  ),
  'auth.query': setting(
    'query',
    optional(string('a query with $1 that gives user name and secret, or "default"')),
    undefined,
    'reload',
    'Asks the primary of the client’s database, as auth.user, for the secret of a user ($1) who is not in auth.file; `default` reads pg_authid. search_path is empty: write schema.function($1).',
  ),
  'auth.user': setting(
    'user',
    optional(string('a user name')),
    undefined,
    'reload',
    'Who runs auth.query, and whom Weir logs in as to watch a server whose URL names no user (lag, catalog); its secret is in auth.file.',
  ),
  'auth.dbname': setting(
    'dbname',
    optional(string('a database name')),
    undefined,
    'reload',
    'Name of the one database whose primary answers auth.query for clients of all; null = the client’s own database.',
  ),
  'auth.admin_users': setting(
    'adminUsers',
    userNames,
    ['weir'],
    'reload',
    'Users who may run every command of the admin console.',
  ),
  'auth.console_user': setting(
    'consoleUser',
    optional(string('a user name')),
    undefined,
    'reload',
    'Comes into the admin console as an administrator without a password, through the Unix socket, if only the system user of Weir can reach that: by unix_socket_mode 0700, or by a directory above it that only this user may enter.',
  ),
  'auth.as': setting(
    'as',
    oneOf(['weir', 'pgbouncer']),
    'weir',
    'reload',
    'pgbouncer: trust lets in only users who are in auth.file or known to auth.query, and a client that is not let in gets PgBouncer’s words, which tell whether auth.query knows the user; Weir’s are the DETAIL.',
  ),
  'auth.stats_users': setting('statsUsers', userNames, [], 'reload', 'Users who may run SHOW on the admin console.'),
} as const satisfies Rows;

export const tlsClientRows = {
  'tls.client.mode': setting(
    'mode',
    tlsModes,
    'prefer',
    'reload',
    'TLS with clients; without a certificate, disable, allow and prefer simply do not offer it.',
  ),
  'tls.client.cert': setting(
    'cert',
    pemFile,
    undefined,
    'reload',
    'Certificate shown to clients; a reload reads the file again.',
  ),
  'tls.client.key': setting('key', pemFile, undefined, 'reload', 'Private key of that certificate.'),
  'tls.client.ca': setting(
    'ca',
    pemFile,
    undefined,
    'reload',
    'Authority that must have signed the certificates of clients; needed by verify-ca, verify-full and auth.type cert.',
  ),
  'tls.client.protocols': setting(
    'protocols',
    tlsProtocols(),
    ['tlsv1.2', 'tlsv1.3'],
    'reload',
    'Versions of TLS with clients.',
  ),
  'tls.client.ciphers': setting(
    'ciphers',
    optional(string('a list of ciphers as OpenSSL writes it')),
    undefined,
    'reload',
    'Ciphers with clients up to TLS 1.2, such as HIGH:!aNULL; null = those of Node.',
  ),
  'tls.client.tls13_ciphers': setting(
    'tls13Ciphers',
    optional(tls13Suites()),
    undefined,
    'reload',
    'Cipher suites of TLS 1.3 with clients, the best first; null = AES 256, ChaCha20 and AES 128, all with an AEAD tag of 16 bytes.',
  ),
} as const satisfies Rows;

export const tlsServerRows = {
  'tls.server.mode': setting(
    'mode',
    tlsModes,
    'prefer',
    'reload',
    'TLS with servers; the modes are those of sslmode in libpq.',
  ),
  'tls.server.ca': setting(
    'ca',
    pemFile,
    undefined,
    'reload',
    'Authority that must have signed the certificates of servers; needed by verify-ca and verify-full.',
  ),
  'tls.server.cert': setting('cert', pemFile, undefined, 'reload', 'Client certificate that Weir shows to servers.'),
  'tls.server.key': setting('key', pemFile, undefined, 'reload', 'Private key of that certificate.'),
  'tls.server.protocols': setting(
    'protocols',
    tlsProtocols(),
    ['tlsv1.2', 'tlsv1.3'],
    'reload',
    'Versions of TLS with servers.',
  ),
  'tls.server.ciphers': setting(
    'ciphers',
    optional(string('a list of ciphers as OpenSSL writes it')),
    undefined,
    'reload',
    'Ciphers with servers up to TLS 1.2, such as HIGH:!aNULL; null = those of Node.',
  ),
  'tls.server.tls13_ciphers': setting(
    'tls13Ciphers',
    optional(tls13Suites()),
    undefined,
    'reload',
    'Cipher suites of TLS 1.3 with servers, the best first; null = AES 256, ChaCha20 and AES 128, all with an AEAD tag of 16 bytes.',
  ),
} as const satisfies Rows;

/** The names of RFC 8446, which OpenSSL has too, with colons between them, as in PgBouncer and PostgreSQL. */
function tls13Suites(): ValueType<string> {
  const known = [
    ...['TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256', 'TLS_AES_128_GCM_SHA256'],
    ...['TLS_AES_128_CCM_8_SHA256', 'TLS_AES_128_CCM_SHA256'],
  ];
  const allowed = `a list with colons of ${known.slice(0, -1).join(', ')} and ${known.at(-1)}`;
  const parse = (raw: unknown): Parsed<string> => {
    const suites = typeof raw === 'string' ? raw.split(':') : [];
    const isKnown = suites.length > 0 && suites.every((suite) => known.includes(suite));
    return isKnown ? { value: suites.join(':') } : { refused: `is not ${allowed}` };
  };
  return { name: 'string', allowed, parse, parseText: (text) => parse(text.trim()), format: (value) => value };
}

/** PgBouncer's words; its tlsv1.0 and tlsv1.1 are refused, as by PostgreSQL. */
function tlsProtocols(): ValueType<readonly string[]> {
  const words = list('versions of TLS');
  const allowed = 'a list of tlsv1.2 and tlsv1.3';
  const check = (parsed: Parsed<readonly string[]>): Parsed<readonly string[]> => {
    if ('refused' in parsed) return parsed;
    const isKnown = parsed.value.every((word) => word === 'tlsv1.2' || word === 'tlsv1.3');
    return isKnown && parsed.value.length > 0 ? parsed : { refused: `is not ${allowed}` };
  };
  return {
    ...words,
    allowed,
    parse: (raw) => check(words.parse(raw)),
    parseText: (text) => check(words.parseText(text)),
  };
}
