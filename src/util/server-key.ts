/**
 * A server as one text, by which its connections are counted: host:port, without brackets around an IPv6 address. For people,
 * config/values.ts has formatHostPort().
 */

interface Address {
  readonly host: string;
  readonly port: number;
}

export function serverKey({ host, port }: Address): string {
  return `${host}:${port}`;
}

/** @param key of serverKey() */
export function addressOfKey(key: string): Address {
  const colon = key.lastIndexOf(':');
  return { host: key.slice(0, colon), port: Number(key.slice(colon + 1)) };
}
