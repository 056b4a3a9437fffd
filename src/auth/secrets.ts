/**
 * Parses the stored secret of a user: a plain password, PostgreSQL's md5 hash of it, or a SCRAM-SHA-256 verifier, as in
 * PgBouncer's auth_file and pg_authid.rolpassword. Secrets are never logged or sent.
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

/** A text that has neither of the two hashed forms is a plain password. */
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
