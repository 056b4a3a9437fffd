/**
 * The few DER encodings that an X.509 certificate needs (X.690, RFC 5280). Pure. Used by certs.ts, because neither Node
 * nor a bare machine has a tool that makes certificates.
 */
function length(size: number): Buffer {
  if (size < 0x80) return Buffer.from([size]);
  const bytes: number[] = [];
  for (let rest = size; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
  return Buffer.from([0x80 | bytes.length, ...bytes]);
}

export function tagged(tag: number, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  return Buffer.concat([Buffer.from([tag]), length(body.length), body]);
}

export const sequence = (...parts: readonly Buffer[]): Buffer => tagged(0x30, ...parts);
export const set = (...parts: readonly Buffer[]): Buffer => tagged(0x31, ...parts);
export const octetString = (body: Buffer): Buffer => tagged(0x04, body);
export const bitString = (body: Buffer, unusedBits = 0): Buffer => tagged(0x03, Buffer.from([unusedBits]), body);
export const utf8String = (text: string): Buffer => tagged(0x0c, Buffer.from(text, 'utf8'));
export const boolean = (value: boolean): Buffer => tagged(0x01, Buffer.from([value ? 0xff : 0]));
/** Context-specific, constructed: [n] EXPLICIT. */
export const explicit = (n: number, body: Buffer): Buffer => tagged(0xa0 | n, body);
/** Context-specific, primitive: [n] IMPLICIT. */
export const implicit = (n: number, body: Buffer): Buffer => tagged(0x80 | n, body);

/** A non-negative integer given as its bytes, most significant first. */
export function integer(bytes: Buffer): Buffer {
  return tagged(0x02, (bytes[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.from([0]), bytes]) : bytes);
}

/** "2.5.4.3" -> OBJECT IDENTIFIER. */
export function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const bytes = [first * 40 + second];
  for (const arc of rest) {
    const groups = [arc & 0x7f];
    for (let high = Math.floor(arc / 128); high > 0; high = Math.floor(high / 128))
      groups.unshift(0x80 | (high & 0x7f));
    bytes.push(...groups);
  }
  return tagged(0x06, Buffer.from(bytes));
}

/** UTCTime: good until 2049, which is all a throw-away certificate needs. */
export function utcTime(date: Date): Buffer {
  const text = date.toISOString().replace(/[-:T]/g, '').slice(2, 14);
  return tagged(0x17, Buffer.from(`${text}Z`, 'latin1'));
}
