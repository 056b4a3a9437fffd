/**
 * What an operator asks of one worker happens in all: actions with one result, changes of the configuration in all or in
 * none, and a worker that starts late catches up. Nobody waits for a worker that dies in the middle, or for one that is
 * silent; no total falls when a worker ends. Fails when a worker is left out unnoticed, or a command hangs.
 */
import { describe, expect, test } from 'vitest';
import { WeirError } from '../../src/errors/errors.ts';
import { readiness } from '../../src/observability/readiness.ts';
import { statsJson } from '../../src/observability/stats-json.ts';
import { createMetrics } from '../../src/observability/metrics.ts';
import type { DatabaseStats } from '../../src/session/types.ts';
import { fakeDatabaseStats, fakePool, fakeSources } from '../console/fakes.ts';
import { Rig, run, settled, type TestWorker, type WorkerOptions } from './rig.ts';

interface Heard {
  readonly rig: Rig;
  readonly workers: readonly TestWorker[];
  /** What each worker was asked to do. */
  readonly asked: readonly (readonly string[])[];
}

/** @param options of each worker */
function three(options: (number: number) => Partial<WorkerOptions> = () => ({})): Heard {
  const rig = new Rig();
  const asked: string[][] = [];
  const workers = [1, 2, 3].map((number) => {
    const base = fakeSources();
    asked.push(base.asked);
    const given = options(number);
    return rig.add({ number, ...given, sources: { ...base, ...given.sources } });
  });
  return { rig, workers, asked };
}

const at = (workers: readonly TestWorker[], index: number): TestWorker => workers[index] as TestWorker;
const refuse = (what: string): (() => Promise<never>) => {
  return () => Promise.reject(new WeirError('console_refused', { what }));
};
const forever = (): Promise<never> => new Promise(() => {});

describe('an action', () => {
  test.each([
    ['PAUSE shop', 'pause "shop"'],
    ['PAUSE', 'pause everything'],
    ['RESUME shop', 'resume "shop"'],
    ['DISABLE shop', 'disable "shop"'],
    ['ENABLE shop', 'enable "shop"'],
    ['RECONNECT', 'reconnect everything'],
    ['WAIT_CLOSE shop', 'waitClose "shop"'],
    ['KILL shop', 'killDatabase "shop"'],
    ['KILL 7', 'killClient 7'],
    ['DRAIN db2', 'setDraining "db2" true'],
    ['UNDRAIN db2', 'setDraining "db2" false'],
    ['RESET STATEMENTS', 'resetStatements'],
    ['INVALIDATE ALL', 'invalidate {"tables":[],"tags":[],"patterns":[],"all":true}'],
  ])('%s is carried out by every worker', async (command, expected) => {
    const { workers, asked, rig } = three();
    expect((await run(at(workers, 1), command)).notices).toEqual([]);
    expect(asked).toEqual([[expected], [expected], [expected]]);
    expect(rig.unexpected).toEqual([]);
  });

  test('EXPLAIN ROUTE is answered by one', async () => {
    const { workers, asked } = three();
    await run(at(workers, 2), 'EXPLAIN ROUTE SELECT 1');
    expect(asked.map((list) => list.length)).toEqual([0, 0, 1]);
  });

  test('KILL of a client, DRAIN of a node: one worker that has it is enough, none is not', async () => {
    const { workers } = three((number) => ({
      sources: {
        killClient: (id) => Promise.resolve(number === 3 && id === 9),
        setDraining: (node) => Promise.resolve(number === 2 && node === 'db7'),
      },
    }));
    await run(at(workers, 0), 'KILL 9');
    await expect(run(at(workers, 0), 'KILL 10')).rejects.toThrow('there is no client 10');
    await run(at(workers, 0), 'DRAIN db7');
    await expect(run(at(workers, 0), 'DRAIN db8')).rejects.toThrow('there is no node "db8"');
  });

  test('RESIZE POOL has one row for a pool, whichever workers have opened it', async () => {
    const row = { database: 'shop', node: 'db1', min: 0, max: 40 } as const;
    const { workers } = three((number) => ({
      sources: {
        resizePool: () =>
          Promise.resolve(
            number === 1
              ? [{ ...row, user: '*', before: 20, after: 20, isToCome: true }]
              : [{ ...row, user: 'app', before: 60, after: 40 }],
          ),
      },
    }));
    const { rows } = await run(at(workers, 0), 'RESIZE POOL shop MAX 40');
    expect(rows).toEqual([{ database: 'shop', user: 'app', node: 'db1', before: 60, after: 40, min: 0, max: 40 }]);
  });

  test('refused by all: the first refusal; by some: a notice', async () => {
    const all = three(() => ({ sources: { enable: refuse('not here') } }));
    await expect(run(at(all.workers, 0), 'ENABLE shop')).rejects.toThrow('not here');
    const some = three((number) => (number === 2 ? { sources: { enable: refuse('not here') } } : {}));
    expect((await run(at(some.workers, 0), 'ENABLE shop')).notices).toEqual(['worker 2 has not done it: not here']);
  });

  test('goes on when a worker dies in the middle', async () => {
    const { workers } = three((number) => (number === 2 ? { sources: { pause: forever } } : {}));
    const pausing = run(at(workers, 0), 'PAUSE shop');
    await settled();
    at(workers, 1).die();
    expect((await pausing).notices).toEqual(['worker 2 has ended meanwhile']);
  });

  test('a worker that is silent is left out, and the operator is told', async () => {
    const { workers, asked } = three((number) => (number === 3 ? { isSilent: true } : {}));
    const { notices } = await run(at(workers, 0), 'RECONNECT shop');
    expect(notices).toEqual([
      'worker 3 does not answer: the figures are without it',
      'worker 3 does not answer: it may not have done it',
    ]);
    expect(asked.slice(0, 2)).toEqual([['reconnect "shop"'], ['reconnect "shop"']]);
  });

  test('that waits ends in every worker when the operator cancels it, or his worker dies', async () => {
    const canceled: number[] = [];
    const waiting = (number: number): Partial<WorkerOptions> => ({
      sources: {
        pause: (_database, signal) =>
          new Promise((_resolve, reject) => {
            signal.addEventListener('abort', () => {
              canceled.push(number);
              reject(new WeirError('console_refused', { what: 'canceled' }));
            });
          }),
      },
    });
    const first = three(waiting);
    const controller = new AbortController();
    const pausing = run(at(first.workers, 0), 'PAUSE', controller.signal);
    await settled();
    controller.abort();
    await expect(pausing).rejects.toThrow('cancel');
    await settled();
    expect(canceled.sort()).toEqual([1, 2, 3]);

    canceled.length = 0;
    const second = three(waiting);
    const lost = run(at(second.workers, 0), 'PAUSE');
    await settled();
    at(second.workers, 0).die();
    await expect(lost).rejects.toThrow('the other process is gone');
    await settled();
    expect(canceled.sort()).toEqual([2, 3]);
  });

  test('opens a database of "*" where it is not open yet', async () => {
    const { workers } = three();
    await run(at(workers, 0), 'PAUSE shop');
    expect(workers.map(({ opened }) => opened)).toEqual([['shop'], ['shop'], ['shop']]);
  });

  test('SHUTDOWN goes to the supervisor', async () => {
    const { rig, workers, asked } = three();
    await run(at(workers, 0), 'SHUTDOWN WAIT_FOR_CLIENTS');
    expect(rig.shutdowns).toEqual([]);
    await settled();
    expect(rig.shutdowns).toEqual(['wait-for-clients']);
    expect(asked).toEqual([[], [], []]);
  });
});

describe('a change of the configuration', () => {
  const steps = (workers: readonly TestWorker[]): (readonly string[])[] => workers.map(({ changes }) => changes);

  test('is checked by all before any applies it', async () => {
    const { rig, workers } = three((number) => ({
      applied: { notices: number === 1 ? ['workers needs a restart'] : ['workers needs a restart'], resized: [] },
    }));
    expect((await run(at(workers, 0), 'RELOAD')).notices).toEqual(['workers needs a restart']);
    await run(at(workers, 2), 'SET cache.ttl = 5s');
    const all = ['prepare reload', 'apply', 'prepare set cache.ttl = 5s', 'apply'];
    expect(steps(workers)).toEqual([all, all, all]);
    expect(rig.changed.map((change) => change.do)).toEqual(['reload', 'set']);
  });

  test('that one refuses changes nothing in any', async () => {
    const prepare = (): never => {
      throw new WeirError('console_refused', { what: 'nothing was changed: no such file' });
    };
    const { rig, workers } = three((number) => (number === 2 ? { prepare } : {}));
    await expect(run(at(workers, 0), 'RELOAD')).rejects.toThrow(
      'nothing was changed in any worker: worker 2 refuses: nothing was changed: no such file',
    );
    await settled();
    const none = ['prepare reload', 'discard'];
    expect(steps(workers)).toEqual([none, none, none]);
    expect(rig.changed).toEqual([]);
    const late = rig.add({ number: 4 });
    await settled();
    expect(late.changes).toEqual([]);
  });

  test('that all refuse is refused in the words of one', async () => {
    const prepare = (): never => {
      throw new WeirError('console_refused', { what: 'nothing was changed: no such file' });
    };
    const { workers } = three(() => ({ prepare }));
    await expect(run(at(workers, 0), 'RELOAD')).rejects.toThrow(/^nothing was changed: no such file$/);
  });

  test('is not made when a worker is silent, or has read something else', async () => {
    const silent = three((number) => (number === 3 ? { isSilent: true } : {}));
    await expect(run(at(silent.workers, 0), 'RELOAD')).rejects.toThrow('worker 3 does not answer');
    const other = three((number) => (number === 3 ? { prepare: () => 'other' } : {}));
    await expect(run(at(other.workers, 0), 'RELOAD')).rejects.toThrow('the configuration changed while it was read');
    expect(steps(silent.workers.slice(0, 2)).flat()).not.toContain('apply');
    expect(steps(other.workers).flat()).not.toContain('apply');
  });

  test('goes on without a worker that dies between its steps', async () => {
    const { workers } = three((number) => ({
      prepare: () => {
        if (number === 2) at(workers, 1).die();
        return 'reload';
      },
    }));
    await run(at(workers, 0), 'RELOAD');
    expect(at(workers, 0).changes).toEqual(['prepare reload', 'apply']);
    expect(at(workers, 2).changes).toEqual(['prepare reload', 'apply']);
  });

  test('two at once are made one after the other', async () => {
    const { workers } = three();
    await Promise.all([run(at(workers, 0), 'SET cache.ttl = 1s'), run(at(workers, 1), 'SET cache.ttl = 2s')]);
    expect(at(workers, 2).changes.filter((step) => step === 'apply')).toHaveLength(2);
    expect(at(workers, 2).changes.indexOf('apply')).toBe(1);
    expect(steps(workers)[0]).toEqual(steps(workers)[1]);
  });
});

describe('a worker that starts late', () => {
  test('does what operators had set, in their order, before it is admitted', async () => {
    const { rig, workers } = three();
    await run(at(workers, 0), 'PAUSE');
    await run(at(workers, 1), 'RESUME shop');
    await run(at(workers, 2), 'DRAIN db2');
    await run(at(workers, 0), 'DISABLE shop');
    await run(at(workers, 0), 'ENABLE shop');
    await run(at(workers, 0), 'RESIZE POOL shop.app MAX 7');
    await run(at(workers, 0), 'SET cache.ttl = 5s');
    const base = fakeSources();
    const late = rig.add({ number: 2, sources: base }, false);
    await rig.switchboard.admit(late.known);
    expect(base.asked).toEqual([
      'pause everything',
      'resume "shop"',
      'setDraining "db2" true',
      'resizePool {"database":"shop","user":"app","max":7}',
    ]);
    expect(late.changes).toEqual(['prepare set cache.ttl = 5s', 'apply']);
  });

  test('an action that comes while it catches up is carried out after that', async () => {
    const { rig, workers } = three();
    await run(at(workers, 0), 'DRAIN db2');
    await run(at(workers, 0), 'PAUSE shop');
    const order: string[] = [];
    const late = rig.add(
      {
        number: 4,
        sources: {
          setDraining: () => new Promise((resolve) => setTimeout(() => resolve(order.push('drain') > 0), 30)),
          pause: () => Promise.resolve(void order.push('pause')),
          resume: () => Promise.resolve(void order.push('resume')),
        },
      },
      false,
    );
    const admitted = rig.switchboard.admit(late.known);
    await run(at(workers, 0), 'RESUME shop');
    await admitted;
    expect(order).toEqual(['drain', 'pause', 'resume']);
  });

  test('pauses although PAUSE still waits in the others', async () => {
    const { rig, workers } = three(() => ({ sources: { pause: forever } }));
    const controller = new AbortController();
    const pausing = run(at(workers, 0), 'PAUSE shop', controller.signal);
    await settled();
    const base = fakeSources();
    await rig.switchboard.admit(rig.add({ number: 4, sources: base }, false).known);
    expect(base.asked).toEqual(['pause "shop"']);
    controller.abort();
    await expect(pausing).rejects.toThrow();
  });

  test('reads the configuration again if it was reloaded while it started', async () => {
    const { rig, workers } = three();
    const early = rig.add({ number: 4 }, false);
    rig.nowMs += 10;
    await run(at(workers, 0), 'SET cache.ttl = 9s');
    await run(at(workers, 0), 'RELOAD');
    rig.nowMs += 10;
    const late = rig.add({ number: 5 }, false);
    await Promise.all([rig.switchboard.admit(early.known), rig.switchboard.admit(late.known)]);
    expect(early.changes).toEqual(['prepare reload', 'apply']);
    expect(late.changes).toEqual([]);
  });

  test('is admitted even if it cannot do something; the log says what', async () => {
    const { rig, workers } = three();
    await run(at(workers, 0), 'PAUSE shop');
    const late = rig.add({ number: 4, sources: { pause: refuse('no') } }, false);
    await rig.switchboard.admit(late.known);
    expect(rig.logged).toEqual([
      'warn worker_catch_up: worker 4 could not do what operators had set before it started: no',
    ]);
  });

  test('catches up with the next supervisor, too, which goes on counting', async () => {
    const { rig, workers } = three();
    await run(at(workers, 0), 'DRAIN db2');
    await run(at(workers, 0), 'RELOAD');
    await run(at(workers, 0), 'SHOW STATS');
    at(workers, 2).die();
    const next = new Rig({ state: structuredClone(rig.switchboard.state()) });
    const base = fakeSources();
    const first = next.add({ number: 1, sources: base }, false);
    await next.switchboard.admit(first.known);
    expect(base.asked).toEqual(['setDraining "db2" true']);
    const { rows } = await run(first, 'SHOW STATS');
    expect(rows[0]?.['total_query_count']).toBe(2 * 88);
    expect((await run(first, 'SHOW WORKERS')).rows[0]).toMatchObject({ restarts: 0 });
  });

  test('does not do what every worker refused, or what had no effect in any', async () => {
    const { rig, workers } = three(() => ({ sources: { pause: refuse('no') } }));
    await expect(run(at(workers, 0), 'PAUSE shop')).rejects.toThrow('no');
    await expect(run(at(workers, 0), 'DRAIN db1')).rejects.toThrow('there is no node');
    const base = fakeSources();
    await rig.switchboard.admit(rig.add({ number: 4, sources: base }, false).known);
    expect(base.asked).toEqual([]);
  });

  test('DRAIN outlives a change of the configuration; RESIZE POOL does where the sizes are the same', async () => {
    const { rig, workers, asked } = three((number) => ({
      applied: { notices: [], resized: number === 3 ? ['shop'] : [] },
    }));
    await run(at(workers, 0), 'DRAIN db2');
    await run(at(workers, 0), 'RESIZE POOL shop MAX 7');
    await run(at(workers, 0), 'RELOAD');
    expect(asked[1]?.filter((line) => line === 'setDraining "db2" true')).toHaveLength(2);
    const base = fakeSources();
    await rig.switchboard.admit(rig.add({ number: 4, sources: base }, false).known);
    expect(base.asked).toEqual(['setDraining "db2" true']);
  });
});

describe('figures', () => {
  const queriesOf = (of: TestWorker): Promise<number> =>
    run(of, 'SHOW STATS').then(({ rows }) => Number(rows[0]?.['total_query_count']));
  const checkoutsOf = async (of: TestWorker): Promise<number> =>
    (await run(of, 'SHOW POOLS')).rows.reduce((sum, row) => sum + Number(row['checkouts']), 0);

  test('no total falls when a worker dies, is silent, starts again or drops a pool', async () => {
    const stats: DatabaseStats[] = [1, 2, 3].map((number) => fakeDatabaseStats({ queries: number * 100 }));
    const pools = [1, 2, 3].map(() => [fakePool({ checkouts: 10 })]);
    const rig = new Rig();
    let pid = 5000;
    const make = (number: number, ofStats = stats[number - 1], ofPools = pools[number - 1]): TestWorker =>
      rig.add({
        number,
        pid: ++pid,
        sources: { databaseStats: () => (ofStats === undefined ? [] : [ofStats]), pools: () => ofPools ?? [] },
      });
    const [one, , three] = [make(1), make(2), make(3)];
    expect([await queriesOf(one), await checkoutsOf(one)]).toEqual([600, 30]);
    three.die();
    expect([await queriesOf(one), await checkoutsOf(one)]).toEqual([600, 30]);
    make(3, fakeDatabaseStats({ queries: 1 }), [fakePool({ checkouts: 1 })]);
    expect([await queriesOf(one), await checkoutsOf(one)]).toEqual([601, 31]);
    pools[1]?.splice(0);
    expect(await checkoutsOf(one)).toBe(31);
    expect(await checkoutsOf(one)).toBe(31);
    pools[1]?.push(fakePool({ checkouts: 2 }));
    expect(await checkoutsOf(one)).toBe(33);
    const { rows } = await run(one, 'SHOW WORKERS');
    expect(rows.map((row) => [row['worker'], row['restarts'], row['deaths']])).toEqual([
      [1, 0, 0],
      [2, 0, 0],
      [3, 0, 1],
    ]);
    // What there is now is of those that live.
    expect((await run(one, 'SHOW POOLS')).rows[0]).toMatchObject({ sv_active: 9, cl_waiting: 12 });
  });

  test('SHOW WORKERS: one that takes the place of another which lives is a restart, else there was a death', async () => {
    const rig = new Rig();
    const before = [rig.add({ number: 1, pid: 1 }), rig.add({ number: 2, pid: 2 })];
    const fresh = rig.add({ number: 1, pid: 3 });
    before[0]?.die();
    before[1]?.die();
    rig.add({ number: 2, pid: 4 });
    const { rows } = await run(fresh, 'SHOW WORKERS');
    expect(rows.map(({ worker, restarts, deaths }) => [worker, restarts, deaths])).toEqual([
      [1, 1, 0],
      [2, 0, 1],
    ]);
  });

  test('a worker that is gone has its row, its metrics and a note of /readyz until another takes its place', async () => {
    const rig = new Rig();
    const one = rig.add({ number: 1, pid: 1 });
    rig.add({ number: 2, pid: 2 }).die();
    const rowsNow = async (): Promise<unknown[]> =>
      (await run(one, 'SHOW WORKERS')).rows.map(({ worker, pid, state, started_at: at }) => [
        worker,
        pid,
        state,
        at === null,
      ]);
    const notesNow = async (): Promise<readonly string[]> =>
      readiness(await one.gather('totals'), { isListening: true, isDraining: false }).notes;
    const metrics = createMetrics(one.sources, () => one.gather('totals'));
    try {
      expect((await rowsNow())[1]).toEqual([2, 2, 'gone', true]);
      expect(await notesNow()).toContainEqual(expect.stringMatching(/^worker 2 has ended/));
      const text = await metrics.text();
      expect(text).toMatch(/^weir_workers\{state="gone"\} 1$/m);
      expect(text).toMatch(/^weir_workers\{state="ready"\} 1$/m);
      expect(text).toMatch(/^weir_worker_deaths_total\{worker="2"\} 0$/m);
      rig.add({ number: 2, pid: 3 });
      expect((await rowsNow())[1]).toEqual([2, 3, 'ready', false]);
      expect(await notesNow()).not.toContainEqual(expect.stringMatching(/^worker/));
      expect(await metrics.text()).toMatch(/^weir_workers\{state="gone"\} 0$/m);
    } finally {
      metrics.close();
    }
  });

  test('a worker that dies while it is asked does not hold up the others', async () => {
    const { workers } = three((number) => (number === 2 ? { isSilent: true } : {}));
    const asking = run(at(workers, 0), 'SHOW CLIENTS');
    await settled();
    at(workers, 1).die();
    const { rows, notices } = await asking;
    expect(rows).toHaveLength(4);
    expect(notices).toEqual([]);
  });

  test('/metrics: a silent worker counts, its last totals stay', async () => {
    const { workers } = three((number) => (number === 3 ? { isSilent: true } : {}));
    const metrics = createMetrics(at(workers, 0).sources, () => at(workers, 0).gather('totals'));
    try {
      const text = await metrics.text();
      expect(text).toMatch(/^weir_workers_silent 1$/m);
      expect(text).toMatch(/^weir_worker_clients\{worker="2"\} 2$/m);
      expect(text).toMatch(/^weir_worker_cpu_seconds_total\{worker="1"\} 12.5$/m);
      expect(text).not.toMatch(/^weir_worker_clients\{worker="3"\}/m);
      expect(text).toMatch(/^weir_process_cpu_seconds_total 25$/m);
      expect(text).toMatch(/^weir_process_open_fds 50$/m);
      expect(text).toMatch(/^weir_auth_failures_total\{reason="password"\} 4$/m);
      expect(text).toMatch(/^weir_event_loop_delay_seconds\{quantile="0.99"\} 0.004$/m);
      expect(text).toMatch(/^weir_event_loop_delay_seconds_count 600$/m);
      expect(text).toMatch(/^weir_transactions_total\{database="shop"\} 120$/m);
      expect(text).toMatch(/^weir_pool_wait_seconds_count\{database="shop",user="app",node="db1"\} 18$/m);
    } finally {
      metrics.close();
    }
  });

  test('/stats.json has the sums, and a time that all workers share', async () => {
    const { workers } = three();
    const json = statsJson(await at(workers, 1).gather('totals'), 5) as {
      atMs: number;
      residentBytes: number;
      clients: object;
      pinnedClients: number;
    };
    expect(Math.abs(json.atMs - Date.now())).toBeLessThan(60_000);
    expect(json.residentBytes).toBe(270_000_000);
    expect(json.clients).toEqual({ active: 3, idle: 3 });
    expect(json.pinnedClients).toBe(3);
  });

  test('/readyz: ready while one worker takes clients, and the Weir does', async () => {
    const { rig, workers } = three((number) => ({ serving: { isListening: true, isDraining: number !== 2 } }));
    const reasons = async (): Promise<readonly string[]> => {
      const sources = await at(workers, 0).gather('totals');
      return readiness(sources, sources.whole?.serving ?? { isListening: false, isDraining: true }).reasons;
    };
    expect(await reasons()).toEqual([]);
    rig.isDraining = true;
    expect(await reasons()).toEqual(['Weir is shutting down']);
  });

  test('SHOW STATE: draining when the whole Weir is', async () => {
    const { rig, workers } = three((number) => ({ serving: { isListening: true, isDraining: number !== 2 } }));
    const draining = async (): Promise<unknown> =>
      (await run(at(workers, 0), 'SHOW STATE')).rows.find(({ key }) => key === 'draining')?.['value'];
    expect(await draining()).toBe('no');
    rig.isDraining = true;
    expect(await draining()).toBe('yes');
  });

  test('a worker that starts or ends is shown, with what is known of it', async () => {
    const { rig, workers } = three();
    rig.add({ number: 4 }, false);
    const { rows } = await run(at(workers, 0), 'SHOW WORKERS');
    expect(rows[3]).toMatchObject({ worker: 4, pid: 4004, clients: null, memory_bytes: null });
  });

  test("drivers' first words ask no other worker", async () => {
    const { rig, workers } = three();
    for (const { die } of workers.slice(1)) die();
    rig.switchboard.stop();
    const gather = (): Promise<never> => Promise.reject(new Error('asked'));
    expect((await run({ ...at(workers, 0), gather }, 'SELECT 1')).rows).toEqual([{ '?column?': 1 }]);
    await expect(run({ ...at(workers, 0), gather }, 'SHOW POOLS')).rejects.toThrow('asked');
  });
});
