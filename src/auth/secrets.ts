/**
 * What may stand for a user's password: the password itself, PostgreSQL's md5 hash of it, or a SCRAM-SHA-256 verifier.
 * The same three that PgBouncer's auth_file and pg_authid.rolpassword know. Parsing only; never logged, never sent.
 */

export type Secret =
  | { readonly kind: 'plain'; readonly password: string }
  /** 32 hex digits: md5(password + user name). */
  | { readonly kind: 'md5'; readonly hash: string }
  | {
      readonly kind: 'scram-sha-256';
      readonly iterations: number;
      readonly salt: Buffer;
      readonly storedKey: Buffer;
      readonly serverKey: Buffer;
    };

const md5Secret = /^md5[0-9a-f]{32}$/i;
const scramSecret = /^SCRAM-SHA-256\$(\d{1,9}):([A-Za-z0-9+/]+={0,2})\$([A-Za-z0-9+/]{43}=):([A-Za-z0-9+/]{43}=)$/;

/** Anything that is not one of the two hashed forms is a plain password. */
export function parseSecret(text: string): Secret {
  if (md5Secret.test(text)) return { kind: 'md5', hash: text.slice(3).toLowerCase() };
  const scram = scramSecret.exec(text);
  if (scram === null || Number(scram[1]) === 0) return { kind: 'plain', password: text };
  const bytes = (group: number): Buffer => Buffer.from(scram[group] as string, 'base64');
  return {
    kind: 'scram-sha-256',
    iterations: Number(scram[1]),
    salt: bytes(2),
    storedKey: bytes(3),
    serverKey: bytes(4),
  };
}

/** A line of the file that is not `"name" "secret"`. The line itself is not in the message: it may hold a secret. */
export class UserFileError extends Error {
  readonly line: number;

  constructor(line: number, what: string) {
    super(`line ${line}: ${what}`);
    this.name = 'UserFileError';
    this.line = line;
  }
}

const userLine = /^"((?:[^"]|"")*)"\s+"((?:[^"]|"")*)"/;

/**
 * PgBouncer's auth_file: `"name" "secret"` on each line, a quote written twice inside quotes, the rest of a line ignored,
 * `;` begins a comment line. A name that comes twice keeps its first secret, as in PgBouncer.
 */
export function parseUserFile(text: string): Map<string, string> {
  const users = new Map<string, string>();
  for (const [index, raw] of text
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith(';') || line.startsWith('#')) continue;
    const match = userLine.exec(line);
    if (match === null) throw new UserFileError(index + 1, 'expected "user name" "secret", both in double quotes');
    const [name, secret] = [match[1] as string, match[2] as string].map((part) => part.replaceAll('""', '"'));
    if (name === '' || name === undefined) throw new UserFileError(index + 1, 'the user name is empty');
    if (!users.has(name)) users.set(name, secret ?? '');
  }
  return users;
}
