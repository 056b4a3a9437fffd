/**
 * The arithmetic of MD5 authentication: md5(md5(password + user) + salt). Both doors use it. Pure.
 * Source: PostgreSQL manual, "Message Flow", AuthenticationMD5Password.
 */
import { createHash } from 'node:crypto';

const md5Hex = (...parts: readonly (string | Buffer)[]): string => {
  const hash = createHash('md5');
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
};

/** What is stored (32 hex digits, without "md5"): md5(password + user). */
export function md5Hash(user: string, password: string): string {
  return md5Hex(password, user);
}

/** What goes over the wire for a stored hash and the four bytes of salt: "md5" and 32 hex digits. */
export function md5Response(hash: string, salt: Buffer): string {
  return `md5${md5Hex(hash, salt)}`;
}
