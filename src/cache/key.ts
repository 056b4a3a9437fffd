/**
 * The identity of an answer (rule 9). The whole key is the key: every part, each with its length, in one string, so
 * one Map look-up is a full comparison. Only Redis needs a short name; there the full key is stored and compared.
 */
import { createHash } from 'node:crypto';
import { stripComments } from '../sql/comments.ts';
import type { KeyParts } from './types.ts';

/** Bytes become latin1 characters one to one. A part that is missing differs from an empty one. */
export function fullKey(key: KeyParts): string {
  let sql = key.sql.toString('latin1');
  // With a backslash in it, where a string ends may depend on a setting: then the text stays as it is.
  if ((sql.includes('/*') || sql.includes('--')) && !sql.includes('\\'))
    sql = stripComments(key.sql).toString('latin1');
  const types = key.types === undefined ? '' : key.types.toString('latin1');
  const bind = key.bind === undefined ? '' : key.bind.toString('latin1');
  const lengths =
    `${key.database.length},${key.user.length},${key.settings.length},${key.shape.length},${sql.length},` +
    `${key.types === undefined ? '-' : types.length},${key.bind === undefined ? '-' : bind.length}|`;
  return lengths + key.database + key.user + key.settings + key.shape + sql + types + bind;
}

/** The same identity as bytes, one to one: latin1 where that loses nothing, else UTF-16. */
export function keyBytes(full: string): Buffer {
  const narrow = Buffer.from(full, 'latin1');
  if (narrow.toString('latin1') === full) return Buffer.concat([Buffer.from('L'), narrow]);
  return Buffer.concat([Buffer.from('U'), Buffer.from(full, 'utf16le')]);
}

/** A short name for Redis: not trusted to be unique. */
export function hashKey(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('base64url').slice(0, 27);
}
