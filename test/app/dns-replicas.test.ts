/**
 * Replicas of DNS come when they were looked at, and go with the answer. Fails if a DNS that does not answer takes one away, an
 * answer is asked for more often than its TTL says, or the primary in office is dropped.
 */
import { beforeEach, describe, expect, test } from 'vitest';
import { DnsFinder } from '../../src/app/dns-replicas.ts';
import type { DatabaseConfig, DnsReplicas } from '../../src/config/config.ts';
import type { DnsAddress, DnsAnswer, DnsLookup } from '../../src/topology/dns-lookup.ts';
import { createManualClock, type ManualClock } from '../../src/util/clock.ts';
import { node, snapshot } from '../routing/route-fixture.ts';
import { databaseConfig, nodeConfig } from '../topology/fixtures.ts';

const entry: DnsReplicas = {
  ...{ host: 'r.test', kind: 'a', port: 5432, name: undefined, weight: undefined, zone: 'eu-1a' },
  ...{ database: 'shop', user: 'app', password: 'secret' },
};

let clock: ManualClock;
let answer: (DnsAnswer & { readonly isStopped?: boolean }) | Error;
let asked: number;
let made: (readonly string[])[];
let servers: readonly string[];
let tried: string[];
let problems: Map<string, string>;
let serverIds: Map<string, string>;
let primary: string;
let isPrimaryUp: boolean;
let configured: DatabaseConfig;
let changes: string[];
let lines: string[];
let finder: DnsFinder;

const at = (host: string, more: Partial<DnsAddress> = {}): DnsAddress => {
  return { host, port: 5432, target: 'r.test', weight: 1, ...more };
};
const answered = (hosts: readonly string[], ttlMs = 5000, problem?: string): DnsAnswer => {
  return { addresses: hosts.map((host) => at(host)), ttlMs, problem };
};

function makeLookup(of: readonly string[]): DnsLookup {
  made.push(of);
  let isStopped = false;
  return {
    ask: async () => {
      asked++;
      if (answer instanceof Error) throw answer;
      return answer;
    },
    stop: () => (isStopped = true),
    get isStopped() {
      return isStopped;
    },
  };
}

beforeEach(() => {
  clock = createManualClock(1000);
  [tried, changes, lines, made, servers] = [[], [], [], [], []];
  [problems, serverIds] = [new Map(), new Map()];
  [asked, primary, isPrimaryUp] = [0, 'db1', true];
  answer = answered(['10.0.0.2', '10.0.0.3']);
  configured = { ...databaseConfig(0), dns: [entry] };
  finder = new DnsFinder({
    database: 'shop',
    servers: () => servers,
    makeLookup,
    configured: () => configured,
    serverIds: new Map(),
    topology: () => ({
      snapshot: () => {
        const nodes = [configured.primary, ...finder.found].map((config) => ({ ...node(config.name), config }));
        const found = nodes.find(({ name }) => name === primary);
        return { ...snapshot(nodes), primary: found === undefined ? undefined : { ...found, isUp: isPrimaryUp } };
      },
      ask: async (name) => [{ id: serverIds.get(name) ?? name }],
      tryNode: async ({ host }) => {
        tried.push(host);
        return { problem: problems.get(host), isAnswer: true, serverId: serverIds.get(host) ?? host };
      },
    }),
    onChange: (why) => changes.push(why),
    log: (level, event, message) => lines.push(`${level} ${event} ${message}`),
    nowMs: () => clock.nowMs(),
  });
});

/** So much later, everything was asked and looked at. */
async function after(ms: number): Promise<string[]> {
  clock.advance(ms);
  finder.sweep(clock.nowMs());
  for (let turn = 0; turn < 30; turn++) await Promise.resolve();
  return finder.found.map(({ name }) => name);
}

describe('an answer', () => {
  test('becomes nodes as the entry says, each looked at once', async () => {
    expect(await after(0)).toEqual(['r.test-10.0.0.2', 'r.test-10.0.0.3']);
    expect(finder.found[0]).toEqual({
      ...{ name: 'r.test-10.0.0.2', host: '10.0.0.2', port: 5432, weight: 1, zone: 'eu-1a' },
      ...{ database: 'shop', user: 'app', password: 'secret', source: 'dns', tlsName: 'r.test' },
    });
    for (let round = 0; round < 20; round++) await after(1000);
    expect(tried).toEqual(['10.0.0.2', '10.0.0.3']);
    expect(finder.problem).toBeUndefined();
  });

  test.each([
    [0, 1_000],
    [5_000, 5_000],
    [86_400_000, 60_000],
  ])('with a TTL of %i ms is asked for again after %i ms', async (ttlMs, expected) => {
    answer = answered(['10.0.0.2'], ttlMs);
    await after(0);
    await after(expected - 1);
    expect(asked).toBe(1);
    await after(1);
    expect(asked).toBe(2);
  });

  test('without one of them takes it away, and another is looked at first', async () => {
    await after(0);
    answer = answered(['10.0.0.3', '10.0.0.4']);
    expect(await after(5000)).toEqual(['r.test-10.0.0.3', 'r.test-10.0.0.4']);
    expect(changes).toContain('DNS does not name it any more');
    expect(tried).toEqual(['10.0.0.2', '10.0.0.3', '10.0.0.4']);
    // Who comes back is looked at again.
    answer = answered(['10.0.0.2', '10.0.0.3', '10.0.0.4']);
    expect(await after(5000)).toEqual(['r.test-10.0.0.3', 'r.test-10.0.0.4', 'r.test-10.0.0.2']);
    expect(tried).toEqual(['10.0.0.2', '10.0.0.3', '10.0.0.4', '10.0.0.2']);
  });

  test('of SRV records has their ports and weights, and the names of their targets', async () => {
    configured = { ...configured, dns: [{ ...entry, kind: 'srv', host: '_pg._tcp.test' }] };
    finder.reconfigure();
    answer = { ...answered([]), addresses: [at('10.0.0.2', { target: 'db2.test', port: 6000, weight: 7 })] };
    expect(await after(0)).toEqual(['db2.test:6000']);
    expect(finder.found[0]).toMatchObject({ host: '10.0.0.2', port: 6000, weight: 7, tlsName: 'db2.test' });
    configured = { ...configured, dns: [{ ...configured.dns![0]!, weight: 3 }] };
    finder.reconfigure();
    expect(finder.found[0]).toMatchObject({ name: 'db2.test:6000', weight: 3 });
    expect(tried).toEqual(['10.0.0.2']);
  });
});

describe('no answer', () => {
  test('changes nothing, and is said once, and so is that it works again', async () => {
    await after(0);
    for (const message of ['no DNS server answers in time', 'it has no address']) {
      answer = new Error(message);
      expect(await after(10_000)).toHaveLength(2);
      expect(finder.problem).toBe(`r.test in DNS: ${message}; its last answer is kept`);
    }
    expect(lines).toEqual(['warn dns r.test in DNS: no DNS server answers in time; its last answer is kept']);
    answer = answered(['10.0.0.2', '10.0.0.3']);
    expect(await after(10_000)).toHaveLength(2);
    expect(lines.slice(1)).toEqual(['info dns r.test in DNS: it is answered again']);
    expect([finder.problem, changes.length]).toEqual([undefined, 2]);
  });

  test('at the start is no replica, and DNS is asked less and less', async () => {
    answer = new Error('no DNS server answers in time');
    for (let second = 0; second < 100; second++) expect(await after(1000)).toEqual([]);
    expect(asked).toBeLessThan(20);
    expect(finder.problem).toMatch(/there are no replicas of it yet$/);
    answer = answered(['10.0.0.2']);
    for (let second = 0; second < 10; second++) await after(1000);
    expect(finder.found).toHaveLength(1);
  });

  test('of one that is not asked any more says nothing', async () => {
    await after(0);
    servers = ['10.0.0.53'];
    answer = new Error('cancelled');
    clock.advance(5000);
    finder.sweep(clock.nowMs());
    finder.stop();
    await after(0);
    expect(lines).toEqual([]);
    expect(made[1]).toEqual(['10.0.0.53']);
  });
});

describe('what cannot be used', () => {
  test('is looked at again, less and less, and shown', async () => {
    problems.set('10.0.0.3', 'belongs to another cluster');
    for (let second = 0; second < 100; second++) expect(await after(1000)).toEqual(['r.test-10.0.0.2']);
    expect(tried.filter((host) => host === '10.0.0.3').length).toBeLessThan(8);
    expect(finder.problem).toBe('found 10.0.0.3:5432 in DNS, which is not used: belongs to another cluster');
    expect(lines).toHaveLength(1);
    answer = answered(['10.0.0.2']);
    await after(5000);
    expect(finder.problem).toBeUndefined();
  });

  test('nor known to be of the cluster, as there is no primary, is not looked at', async () => {
    isPrimaryUp = false;
    expect(await after(0)).toEqual([]);
    expect([tried, lines]).toEqual([[], []]);
    isPrimaryUp = true;
    expect(await after(600)).toHaveLength(2);
  });

  test('is the same server under two addresses: it is one node, until that address is gone', async () => {
    serverIds.set('10.0.0.2', 'same').set('10.0.0.3', 'same').set('r.test-10.0.0.2', 'same');
    expect(await after(0)).toEqual(['r.test-10.0.0.2']);
    expect([finder.problem, lines]).toEqual([undefined, []]);
    answer = answered(['10.0.0.3']);
    await after(5000);
    expect(await after(600)).toEqual(['r.test-10.0.0.3']);
  });

  test('is the primary, or a node of the configuration', async () => {
    serverIds.set('10.0.0.3', 'db1');
    problems.set('10.0.0.3', 'is not a standby');
    configured = { ...configured, replicas: [nodeConfig('mine', { host: '10.0.0.2' })] };
    expect(await after(0)).toEqual([]);
    expect([tried, finder.problem]).toEqual([['10.0.0.3'], undefined]);
  });
});

test('the primary in office stays until it is none', async () => {
  await after(0);
  primary = 'r.test-10.0.0.2';
  answer = answered(['10.0.0.3']);
  expect(await after(5000)).toEqual(['r.test-10.0.0.2', 'r.test-10.0.0.3']);
  primary = 'db1';
  expect(await after(600)).toEqual(['r.test-10.0.0.3']);
});

test('an entry that is gone takes its nodes with it', async () => {
  await after(0);
  configured = databaseConfig(0);
  finder.reconfigure();
  expect([finder.found, finder.problem]).toEqual([[], undefined]);
  await after(60_000);
  expect(asked).toBe(1);
});
