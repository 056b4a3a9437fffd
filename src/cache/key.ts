/**
 * The key of an answer (rule 9): every part with its length in one string, so that one Map look-up is a full
 * comparison. Only Redis needs a short name; the full key is stored and compared there.
 */
import { createHash } from 'node:crypto';
import { stripComments } from '../sql/comments.ts';
import type { KeyParts } from './types.ts';

/** Maps bytes one to one to latin1 characters. A missing part differs from an empty one. */
export function fullKey(key: KeyParts): string {
  let sql = key.sql.toString('latin1');
  // With a backslash in the text, the end of a string may depend on a setting: then comments are not removed.
  if ((sql.includes('/*') || sql.includes('--')) && !sql.includes('\\'))
    sql = stripComments(key.sql).toString('latin1');
  const types = key.types === undefined ? '' : key.types.toString('latin1');
  const bind = key.bind === undefined ? '' : key.bind.toString('latin1');
  const lengths =
    `${key.database.length},${key.user.length},${key.settings.length},${key.shape.length},${sql.length},` +
    `${key.types === undefined ? '-' : types.length},${key.bind === undefined ? '-' : bind.length}|`;
  return lengths + key.database + key.user + key.settings + key.shape + sql + types + bind;
}

/** @returns the key as bytes, one to one: latin1 if that loses nothing, else UTF-16 */
export function keyBytes(full: string): Buffer {
  const narrow = Buffer.from(full, 'latin1');
  if (narrow.toString('latin1') === full) return Buffer.concat([Buffer.from('L'), narrow]);
  return Buffer.concat([Buffer.from('U'), Buffer.from(full, 'utf16le')]);
}

/** @returns a short name for Redis, which is not assumed to be unique */
export function hashKey(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('base64url').slice(0, 27);
}
