/**
 * The scale signals of a real Weir: a small pool under load is full and says so on /metrics and /scale, also with two workers; a
 * node that is down is not known, and nothing advises to scale down because of it. A minute of quiet is test/observability's.
 */
import { afterEach, describe, expect, test } from 'vitest';
import {
  askConsole,
  closeClients,
  connectPg,
  startCluster,
  startWeir,
  until,
  useCluster,
  weirConfig,
} from './harness/index.ts';
import type { WeirProcess } from './harness/index.ts';

const cluster = useCluster();
let weir: WeirProcess;

afterEach(async () => {
  await closeClients();
  await weir.stop();
});

interface Signal {
  readonly database: string;
  readonly node: string;
  readonly role: string;
  readonly saturation: number | null;
  readonly peak: number | null;
  readonly advice: string;
  readonly remedy: string | null;
  readonly reason: string;
  readonly inUse: number;
  readonly waiting: number;
  readonly limit: number | null;
}

interface Answer {
  readonly advice: string;
  readonly reason: string;
  readonly signals: readonly Signal[];
}

async function get(path: string): Promise<string> {
  const answer = await fetch(`http://127.0.0.1:${weir.httpPort}${path}`);
  expect(answer.status).toBe(200);
  return answer.text();
}

const scale = async (): Promise<Answer> => JSON.parse(await get('/scale')) as Answer;

function signal({ signals }: Answer, node: string): Signal {
  const found = signals.find((each) => each.node === node);
  if (found === undefined) throw new Error(`no signal of ${node}`);
  return found;
}

async function sample(name: string, database: string, node: string): Promise<number | undefined> {
  const labels = `{database="${database}",node="${node}"} `;
  const line = (await get('/metrics')).split('\n').find((each) => each.startsWith(`${name}${labels}`));
  return line === undefined ? undefined : Number(line.slice(line.lastIndexOf(' ') + 1));
}

describe.each([1, 2])('with workers: %i', (workers) => {
  test('a pool of two under load: up, with the reason; then it calms down, and holds', async () => {
    const database = await cluster.createDatabase();
    weir = await startWeir(weirConfig(cluster, { database }, { workers, default_pool_size: 2, max_pool_size: 2 }));
    const before = signal(await scale(), 'primary');
    expect(before.advice).toBe('hold');
    const clients = await Promise.all(Array.from({ length: 8 }, () => connectPg(weir.url({ database }))));
    let isOver = false;
    const load = clients.map(async (client) => {
      while (!isOver) await client.query('/* weir: route=primary */ SELECT pg_sleep(0.05)');
    });
    const full = await until('the node to be full', async () => {
      const answer = await scale();
      return (signal(answer, 'primary').saturation ?? 0) > 0.8 && answer;
    });
    expect(full.advice).toBe('up');
    expect(signal(full, 'primary')).toMatchObject({
      database,
      role: 'primary',
      advice: 'up',
      remedy: 'pool',
      limit: 2,
    });
    expect(signal(full, 'primary').reason).toMatch(/above 80 %.*of 2 \(max_pool_size\); raise max_pool_size/);
    expect(full.reason).toContain(`${database} on primary`);
    expect(await sample('weir_saturation', database, 'primary')).toBeGreaterThan(0.8);
    expect(await sample('weir_scale_advice', database, 'primary')).toBe(1);
    const lines = await askConsole<Record<string, string>>(weir, `EXPLAIN POOL "${database}"`);
    const valueOf = (item: string): string | undefined =>
      lines.find((row) => row['node'] === 'primary' && row['item'] === item)?.['value'];
    expect(valueOf('size')).toBe('may have 2 connections now, at least 0, at most 2');
    expect(valueOf('would grow')).toContain('not: it is as large as its maximum');
    expect(valueOf('workers')).toBe(
      workers === 1 ? undefined : 'the 2 places are leased to 2 workers, by what each needs',
    );
    isOver = true;
    await Promise.all(load);
    const calm = await until('the load to be over', async () => {
      const now = signal(await scale(), 'primary');
      return (now.saturation ?? 1) < 0.3 && now;
    });
    // A lull of some seconds is no reason to scale down.
    expect(calm).toMatchObject({ advice: 'hold', peak: 1 });
    expect(await sample('weir_scale_advice', database, 'primary')).toBe(0);
  });
});

test('the form of /scale, and what is not known', async () => {
  const own = await startCluster();
  try {
    weir = await startWeir(weirConfig(own));
    const client = await connectPg(weir.url());
    await client.query('SELECT 1');
    await own.kill(own.replicas[0]!);
    const answer = await until('the loss to be seen', async () => {
      const now = await scale();
      return signal(now, 'replica1').reason.includes('the node is down') && now;
    });
    expect(Object.keys(answer)).toEqual(['advice', 'reason', 'upAbove', 'downBelow', 'signals']);
    expect(answer.signals.map(({ database, node }) => `${database}/${node}`)).toEqual([
      'postgres/primary',
      'postgres/replica1',
      'postgres/replica2',
      '/weir',
    ]);
    for (const each of answer.signals) {
      expect(Object.keys(each).sort()).toEqual(
        'advice database inUse limit node peak reason remedy role saturation waiting'.split(' '),
      );
      expect(['up', 'hold', 'down']).toContain(each.advice);
      expect(each.reason).not.toBe('');
    }
    expect(signal(answer, 'replica1')).toMatchObject({ saturation: null, advice: 'hold' });
    expect(await sample('weir_saturation', 'postgres', 'replica1')).toBeUndefined();
    expect(answer.advice).not.toBe('down');
    await until(
      'its event loop to be measured',
      async () => (await sample('weir_saturation', '', 'weir')) !== undefined,
    );
  } finally {
    await own.stop();
  }
});
