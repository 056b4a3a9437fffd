/**
 * How an answer lies in Redis: the stamps it was stored under (Redis compares them), then the full key (we compare it),
 * its age, its frames. Whatever does not add up is no entry. Pure.
 */

interface StoredEntry {
  readonly parts: readonly Buffer[];
  /** The life it was given when it was stored. */
  readonly ttlMs: number;
}

const maxParts = 100_000;

/** Layout after the stamp text: u32 key length, key, f64 ttl in ms, u32 number of parts, u32 each length, the parts. */
export function encodeEntry(stamps: string, key: Buffer, ttlMs: number, parts: readonly Buffer[]): Buffer {
  const head = Buffer.allocUnsafe(4 + key.length + 12 + 4 * parts.length);
  let at = head.writeUInt32BE(key.length, 0);
  at += key.copy(head, at);
  at = head.writeDoubleBE(ttlMs, at);
  at = head.writeUInt32BE(parts.length, at);
  for (const part of parts) at = head.writeUInt32BE(part.length, at);
  return Buffer.concat([Buffer.from(stamps, 'latin1'), head, ...parts]);
}

/** @returns undefined if it is another key's entry (same hash) or not an entry at all */
export function decodeEntry(value: Buffer, stamps: string, key: Buffer): StoredEntry | undefined {
  let at = stamps.length;
  const has = (bytes: number): boolean => at + bytes <= value.length;
  if (!has(4)) return undefined;
  const keyLength = value.readUInt32BE(at);
  at += 4;
  if (keyLength !== key.length || !has(keyLength + 12)) return undefined;
  if (value.compare(key, 0, key.length, at, at + keyLength) !== 0) return undefined;
  at += keyLength;
  const ttlMs = value.readDoubleBE(at);
  const count = value.readUInt32BE(at + 8);
  at += 12;
  if (!(ttlMs > 0) || count > maxParts || !has(4 * count)) return undefined;
  let start = at + 4 * count;
  const parts: Buffer[] = [];
  for (let i = 0; i < count; i++) {
    const length = value.readUInt32BE(at + 4 * i);
    if (start + length > value.length) return undefined;
    const part = Buffer.allocUnsafeSlow(length);
    value.copy(part, 0, start, start + length);
    parts.push(part);
    start += length;
  }
  return start === value.length ? { parts, ttlMs } : undefined;
}
