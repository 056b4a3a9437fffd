/**
 * What DNS answers becomes addresses, by both families and by SRV records. Fails if one question that is not answered takes
 * away what it answered before, or a TTL is not that of the answer.
 */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { DnsServer } from '../../integration/harness/dns.ts';
import type { DnsReplicas } from '../../src/config/config.ts';
import { createDnsLookup, type DnsAnswer, type DnsLookup } from '../../src/topology/dns-lookup.ts';

let dns: DnsServer;
let lookup: DnsLookup;

beforeEach(async () => {
  dns = await DnsServer.start();
  lookup = createDnsLookup([dns.address]);
});
afterEach(async () => {
  lookup.stop();
  await dns.stop();
});

const entry = (host: string, kind: 'a' | 'srv'): DnsReplicas => ({
  ...{ host, kind, port: 5433, name: undefined, weight: undefined },
  ...{ database: undefined, user: undefined, password: undefined },
});
const a = entry('r.test', 'a');
const srv = entry('_postgresql._tcp.test', 'srv');
const hostsOf = ({ addresses }: DnsAnswer): string[] => addresses.map(({ host, port }) => `${host} ${port}`);

describe('addresses', () => {
  test('of both families, with the shortest TTL', async () => {
    dns.setAddresses('r.test', ['127.0.0.3', '127.0.0.2', '::1'], 7);
    const answer = await lookup.ask(a, []);
    expect(hostsOf(answer)).toEqual(['127.0.0.2 5433', '127.0.0.3 5433', '::1 5433']);
    expect(answer).toMatchObject({ ttlMs: 7000, problem: undefined });
    expect(answer.addresses[0]).toMatchObject({ target: 'r.test', weight: 1 });
    dns.setAddresses('r.test', ['127.0.0.2'], 0);
    const next = await lookup.ask(a, answer.addresses);
    expect([hostsOf(next), next.ttlMs, next.problem]).toEqual([['127.0.0.2 5433'], 0, undefined]);
  });

  test('stay if their family is not answered', async () => {
    dns.setAddresses('r.test', ['127.0.0.2', '::1']);
    const answer = await lookup.ask(a, []);
    dns.failing.add('AAAA');
    dns.setAddresses('r.test', ['127.0.0.3', '::2']);
    const next = await lookup.ask(a, answer.addresses);
    expect(hostsOf(next)).toEqual(['127.0.0.3 5433', '::1 5433']);
    expect(next.problem).toBe('the DNS server failed (SERVFAIL)');
  });

  test('that there are none, or no answer, is an error', async () => {
    await expect(lookup.ask(a, [])).rejects.toThrow('it has no address');
    dns.mood = 'servfail';
    await expect(lookup.ask(a, [])).rejects.toThrow('the DNS server failed (SERVFAIL)');
    dns.mood = 'silent';
    await expect(lookup.ask(a, [])).rejects.toThrow('no DNS server answers in time');
  });

  test('many are cut', async () => {
    const many = Array.from({ length: 80 }, (_, index) => `10.0.0.${index}`);
    dns.setAddresses('r.test', many);
    expect((await lookup.ask(a, [])).addresses).toHaveLength(64);
  });

  test('the TTL holds for more than Node knows it of', async () => {
    const many = Array.from({ length: 300 }, (_, index) => `10.0.${index >> 8}.${index & 255}`);
    dns.setAddresses('r.test', many, 7);
    expect((await lookup.ask(a, [])).ttlMs).toBe(7000);
  });
});

describe('SRV records', () => {
  test('those with the lowest priority, with ports and weights, every 30 s or by the TTL of an address', async () => {
    dns.setServices('_postgresql._tcp.test', [
      { target: 'db2.test', port: 5434, priority: 1, weight: 20 },
      { target: 'db1.test', port: 5433, priority: 1, weight: 0 },
      { target: 'db3.test', port: 5435, priority: 2 },
    ]);
    for (const number of [1, 2, 3]) dns.setAddresses(`db${number}.test`, [`127.0.0.${number}`], 100);
    const answer = await lookup.ask(srv, []);
    expect(answer.addresses).toEqual([
      { host: '127.0.0.1', port: 5433, target: 'db1.test', weight: 1 },
      { host: '127.0.0.2', port: 5434, target: 'db2.test', weight: 20 },
    ]);
    expect(answer.ttlMs).toBe(30_000);
    dns.setAddresses('db1.test', ['127.0.0.9'], 3);
    expect((await lookup.ask(srv, answer.addresses)).ttlMs).toBe(3000);
  });

  test('weights above 1000 are scaled down', async () => {
    dns.setServices('_postgresql._tcp.test', [
      { target: 'db1.test', port: 5433, weight: 60_000 },
      { target: 'db2.test', port: 5433, weight: 30_000 },
    ]);
    for (const number of [1, 2]) dns.setAddresses(`db${number}.test`, [`127.0.0.${number}`]);
    expect((await lookup.ask(srv, [])).addresses.map(({ weight }) => weight)).toEqual([1000, 500]);
  });

  test('a target whose address is not answered keeps it; one without an address is none', async () => {
    dns.setServices('_postgresql._tcp.test', [
      { target: 'db1.test', port: 5433 },
      { target: 'gone.test', port: 5433 },
    ]);
    dns.setAddresses('db1.test', ['127.0.0.1']);
    const answer = await lookup.ask(srv, []);
    expect(hostsOf(answer)).toEqual(['127.0.0.1 5433']);
    dns.failing.add('A');
    expect(hostsOf(await lookup.ask(srv, answer.addresses))).toEqual(['127.0.0.1 5433']);
  });

  test('that there are none is an error, and so is the root as their target', async () => {
    await expect(lookup.ask(srv, [])).rejects.toThrow('it has no SRV record');
    dns.setServices('_postgresql._tcp.test', [{ target: '', port: 5433 }]);
    await expect(lookup.ask(srv, [])).rejects.toThrow('it has no SRV record of a server with an address');
  });
});

test('what is being asked ends when it is stopped', async () => {
  dns.mood = 'silent';
  const asked = lookup.ask(a, []);
  lookup.stop();
  await expect(asked).rejects.toThrow();
  expect(lookup.isStopped).toBe(true);
});
