/**
 * The hashes of MD5 authentication: md5(md5(password + user) + salt). Called for clients by auth/methods, and for
 * servers by backend/authenticate.ts. Source: PostgreSQL manual, "Message Flow", AuthenticationMD5Password.
 */
import { createHash } from 'node:crypto';

const md5Hex = (...parts: readonly (string | Buffer)[]): string => {
  const hash = createHash('md5');
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
};

/** The hash that is stored, md5(password + user): 32 hex digits, without the prefix "md5". */
export function md5Hash(user: string, password: string): string {
  return md5Hex(password, user);
}

/**
 * The client's response: "md5" and 32 hex digits.
 * @param hash from md5Hash()
 * @param salt four bytes from AuthenticationMD5Password
 */
export function md5Response(hash: string, salt: Buffer): string {
  return `md5${md5Hex(hash, salt)}`;
}
