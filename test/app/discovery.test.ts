/**
 * Replicas that are found come, stay while a walsender is gone for a moment, and go when they are down for long. Fails if what
 * cannot be used is looked at all the time, or one server becomes two nodes.
 */
import { beforeEach, describe, expect, test } from 'vitest';
import { Discovery } from '../../src/app/discovery.ts';
import type { DatabaseConfig, NodeConfig } from '../../src/config/config.ts';
import { createManualClock, type ManualClock } from '../../src/util/clock.ts';
import type { NodeState } from '../../src/topology/types.ts';
import { node, snapshot } from '../routing/route-fixture.ts';
import { databaseConfig } from '../topology/fixtures.ts';

let clock: ManualClock;
let rows: Record<string, unknown>[] | Error;
let tried: string[];
let problems: Map<string, string>;
let serverIds: Map<string, string>;
let down: Set<string>;
let found: readonly NodeConfig[];
/** Other nodes than those that were found. */
let others: NodeState[];
/** A node that was found and is the primary now. */
let office: string;
let why: string[];
let lines: string[];
let configured: DatabaseConfig;
let autoDiscover: 'off' | 'replication';
let discovery: Discovery;

const row = (number: number): Record<string, unknown> => ({
  host: `10.0.0.${number}`,
  application_name: `r${number}`,
  state: 'streaming',
});

beforeEach(() => {
  clock = createManualClock(1000);
  rows = [row(2), row(3)];
  [tried, why, lines, found] = [[], [], [], []];
  [problems, serverIds, down] = [new Map(), new Map(), new Set()];
  [others, office] = [[], ''];
  configured = databaseConfig(0);
  autoDiscover = 'replication';
  const stateOf = ({ name, host }: NodeConfig): NodeState =>
    node(name, {
      isUp: !down.has(name),
      role: name === office ? 'primary' : 'replica',
      serverId: serverIds.get(host) ?? host,
    });
  discovery = new Discovery({
    database: 'shop',
    settings: () => ({ autoDiscover, discoverPort: undefined, discoverForgetMs: 60_000 }),
    configured: () => configured,
    serverIds: new Map(),
    topology: () => ({
      snapshot: () => snapshot([...others, ...found.map(stateOf)]),
      ask: async (name, sql) => {
        const other = others.find((each) => each.name === name);
        if (other?.isUnheard === true) throw new Error('not logged in');
        if (sql.includes('postmaster')) return [{ id: other?.serverId ?? serverIds.get(name) ?? name }];
        if (rows instanceof Error) throw rows;
        return rows;
      },
      tryNode: async ({ host }) => {
        tried.push(host);
        return { problem: problems.get(host), isAnswer: true, serverId: serverIds.get(host) ?? host };
      },
    }),
    onChange: (now, reason) => {
      found = now;
      if (reason !== '') why.push(reason);
    },
    log: (_level, _event, message) => lines.push(message),
    nowMs: () => clock.nowMs(),
  });
});

/** So much later, everything was looked at. */
async function after(ms: number): Promise<string[]> {
  clock.advance(ms);
  discovery.sweep(clock.nowMs());
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  return found.map(({ name }) => name);
}

describe('what is found', () => {
  test('is used when it was looked at', async () => {
    expect(await after(0)).toEqual(['r2', 'r3']);
    expect(discovery.problem).toBeUndefined();
    expect(await after(1000)).toEqual(['r2', 'r3']);
    expect(tried).toEqual(['10.0.0.2', '10.0.0.3']);
  });

  test('and does not answer is looked at again, less and less, and said once', async () => {
    problems.set('10.0.0.3', 'cannot connect: refused');
    for (let second = 0; second < 120; second++) expect(await after(1000)).toEqual(['r2']);
    expect(tried.filter((host) => host === '10.0.0.3').length).toBeLessThan(8);
    expect(lines).toEqual(['found 10.0.0.3:5432 in pg_stat_replication, which is not used: cannot connect: refused']);
    expect(discovery.problem).toBe(lines[0]);
    problems.clear();
    for (let second = 0; second < 62; second++) await after(1000);
    expect(found.map(({ name }) => name)).toEqual(['r2', 'r3']);
    expect(discovery.problem).toBeUndefined();
  });

  test('and is a node under another address is none, without a word', async () => {
    serverIds.set('r2', 'same').set('10.0.0.4', 'same');
    rows = [row(2)];
    expect(await after(0)).toEqual(['r2']);
    rows = [row(2), row(4)];
    expect(await after(3000)).toEqual(['r2']);
    expect(tried).toEqual(['10.0.0.2', '10.0.0.4']);
    expect(lines).toEqual([]);
    expect(discovery.problem).toBeUndefined();
  });

  test('waits until the nodes have been heard of that it may be', async () => {
    rows = [row(2)];
    serverIds.set('10.0.0.2', 'same');
    configured = { ...configured, replicas: [{ ...configured.primary, name: 'db2', host: 'db2' }] };
    others = [node('db2', { isUp: false, isUnheard: true })];
    expect(await after(0)).toEqual([]);
    others = [node('db2', { serverId: 'same' })];
    for (let second = 0; second < 10; second++) expect(await after(1000)).toEqual([]);
    expect(discovery.problem).toBeUndefined();
    others = [node('db2', { isUp: false })];
    for (let second = 0; second < 60; second++) await after(1000);
    expect(found.map(({ name }) => name)).toEqual(['r2']);
  });

  test('under two addresses at once is one node', async () => {
    serverIds.set('10.0.0.2', 'same').set('10.0.0.3', 'same').set('r2', 'same').set('r3', 'same');
    await after(0);
    expect(await after(2000)).toEqual(['r2']);
    expect(why).toEqual(['it is r2 under another address']);
    for (let second = 0; second < 10; second++) expect(await after(1000)).toEqual(['r2']);
  });

  test('and turns out to be a node that is back goes, unless it is the primary now', async () => {
    await after(0);
    office = 'r2';
    others = [node('db2', { serverId: '10.0.0.2' }), node('db3', { serverId: '10.0.0.3', isUp: false })];
    expect(await after(2000)).toEqual(['r2', 'r3']);
    office = '';
    expect(await after(2000)).toEqual(['r3']);
    expect(why).toEqual(['it is db2 under another address']);
  });

  test('has another name if that is taken', async () => {
    configured = { ...configured, replicas: [{ ...configured.primary, name: 'r2', host: 'other' }] };
    expect(await after(0)).toEqual(['10.0.0.2', 'r3']);
  });

  test('gives way to a node of the configuration', async () => {
    await after(0);
    configured = { ...configured, replicas: [{ ...configured.primary, name: 'mine', host: '10.0.0.2' }] };
    expect(discovery.found.map(({ name }) => name)).toEqual(['r3']);
  });
});

describe('what is gone', () => {
  test('stays while it is up, or not gone for long', async () => {
    await after(0);
    rows = [row(2)];
    expect(await after(600_000)).toEqual(['r2', 'r3']);
    rows = [row(2), row(3)];
    await after(2000);
    rows = [row(2)];
    down.add('r3');
    expect(await after(59_000)).toEqual(['r2', 'r3']);
    expect(await after(2000)).toEqual(['r2']);
    expect(why).toEqual(['it is down, and not in pg_stat_replication for 60 s']);
  });

  test('stays while the primary cannot be asked', async () => {
    await after(0);
    rows = new Error('no answer');
    down.add('r3');
    expect(await after(600_000)).toEqual(['r2', 'r3']);
    expect(discovery.problem).toBe('pg_stat_replication cannot be read: no answer');
  });

  test('goes with the setting', async () => {
    await after(0);
    autoDiscover = 'off';
    expect(await after(1000)).toEqual([]);
    expect(why).toEqual(['routing.auto_discover is off']);
  });

  test('but not the primary in office', async () => {
    await after(0);
    office = 'r2';
    autoDiscover = 'off';
    for (let second = 0; second < 3; second++) expect(await after(1000)).toEqual(['r2']);
    expect(why).toEqual(['routing.auto_discover is off']);
    office = '';
    expect(await after(1000)).toEqual([]);
  });
});

test('rows that the user may not see are said, once', async () => {
  rows = [{ host: null, application_name: 'r2', state: null }];
  await after(0);
  await after(2000);
  expect(lines).toEqual(["1 standbys in pg_stat_replication cannot be seen: grant pg_monitor to the monitor's user"]);
});
