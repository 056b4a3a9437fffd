/**
 * Five times as many statements as the server can do, from clients that give up after a second: how much of what it does is of use
 * to somebody.
 */
import type { Contestant } from '../contestants.ts';
import type { BenchContext } from '../context.ts';
import { bars, medianOf } from '../numbers.ts';
import { atLeast, type Section } from '../report.ts';
import { playClosed } from './closed-load.ts';
import { playOpen, type OpenLoad, type Outcome } from './open-load.ts';
import { SIZE, fixed, inTurns, withSetting, type Setting } from './setting.ts';

const TIMES = 5;
const patienceMs = 1_000;
const waitSql = 'SELECT pg_sleep(0.25)';
const waitCapacity = SIZE / 0.25;
const cpuSql = 'SELECT count(*) FROM generate_series(1, 150000)';
const mostClients = 800;
const WEIR = `Weir, ${SIZE}`;
const TOLD = `${WEIR}, queue_patience 1s`;

const loadOf = ({ seconds }: BenchContext, more: Pick<OpenLoad, 'sql' | 'whoGivesUp'>, capacity: number) => ({
  ...{ perSecond: Math.round(TIMES * capacity), warmUpSeconds: 3, seconds, patienceMs, mostClients },
  ...more,
});

async function measure(
  context: BenchContext,
  contestants: readonly Contestant[],
  load: Omit<OpenLoad, 'port'>,
  { capacity, of: whose = WEIR }: { capacity: number; of?: string },
): Promise<Pick<Section, 'columns' | 'rows' | 'plot' | 'targets'>> {
  const results = await inTurns(
    context,
    contestants,
    ({ port }) => playOpen({ ...load, port }),
    ({ perSecond, refusedPerSecond, gaveUpPerSecond }) =>
      `${Math.round(perSecond)}/s in time, ${Math.round(refusedPerSecond)} refused, ${Math.round(gaveUpPerSecond)} gave up`,
  );
  const of = (name: string, figure: (outcome: Outcome) => number | undefined): number | undefined =>
    medianOf((results.get(name) ?? []).map(figure));
  const goodput = (name: string): number => (of(name, ({ perSecond }) => perSecond) ?? 0) / capacity;
  return {
    columns: ['', 'answers/s in time', 'of the capacity', 'p50, ms', 'p99, ms', 'refused/s', 'gave up/s'],
    rows: contestants.map(({ name }) => ({
      label: name,
      cells: [
        of(name, ({ perSecond }) => perSecond),
        goodput(name),
        of(name, ({ p50Ms }) => p50Ms),
        of(name, ({ p99Ms }) => p99Ms),
        of(name, ({ refusedPerSecond }) => refusedPerSecond),
        of(name, ({ gaveUpPerSecond }) => gaveUpPerSecond),
      ],
    })),
    plot: ['answers in time, of the capacity', ...bars(contestants.map(({ name }) => [name, goodput(name)]))],
    targets: [
      atLeast(`5 x overload, ${WORDS[load.whoGivesUp]}: at least 0.9 of the capacity`, goodput(whose), 0.9, ''),
    ],
  };
}

const WORDS = { leaves: 'clients that leave', stays: 'clients that stay, queue_patience' } as const;

/** Those whose pool has the same size. */
const ofOneSize = async ({ bouncer, weir }: Setting): Promise<Contestant[]> => [
  ...(await bouncer()),
  ...(await bouncer({ queryWaitTimeoutSeconds: patienceMs / 2_000 })),
  await weir(WEIR, fixed),
];

/** The servers wait: how many statements they can do is known, and the machine has time for everybody. */
export const pressureOverload = (context: BenchContext): Promise<Section> =>
  withSetting(context, async (setting) => {
    const load = loadOf(context, { sql: waitSql, whoGivesUp: 'leaves' }, waitCapacity);
    return {
      title: 'Pressure: 5 x overload',
      about: `\`${waitSql}\` on ${SIZE} servers, which is ${waitCapacity} a second; ${load.perSecond} a second come. A client that has waited for a second closes its connection, and another one connects.`,
      ...(await measure(context, await ofOneSize(setting), load, { capacity: waitCapacity })),
      notes: [],
    };
  });

/** The same with clients that Weir cannot see to give up. */
export const pressureStaying = (context: BenchContext): Promise<Section> =>
  withSetting(context, async (setting) => {
    const load = loadOf(context, { sql: waitSql, whoGivesUp: 'stays' }, waitCapacity);
    const patient = await setting.weir(TOLD, { ...fixed, queue_patience: `${patienceMs}ms` });
    return {
      title: 'Pressure: 5 x overload, clients that stay',
      about: `The same, but a client that has waited for a second keeps its connection, and takes the answer when it comes, for nothing. ${mostClients} clients; who finds none of them free has given up, too.`,
      ...(await measure(context, [...(await ofOneSize(setting)), patient], load, { capacity: waitCapacity, of: TOLD })),
      notes: [
        'Nobody is seen to give up here, so Weir keeps the order of arrival unless it is told how long clients wait.',
      ],
    };
  });

/** What the server does in a second at best, without anything between. */
async function cpuCapacity({ direct }: Setting, { isQuick }: BenchContext): Promise<number> {
  const rates: number[] = [];
  for (const clients of [2, 4]) {
    const times = { warmUpSeconds: 1, seconds: isQuick ? 2 : 4 };
    const [outcome] = await playClosed(direct.port, [{ clients, sql: () => cpuSql }], times);
    rates.push(outcome?.perSecond ?? 0);
  }
  return Math.max(...rates);
}

export const pressureCpu = (context: BenchContext): Promise<Section> =>
  withSetting(context, async (setting) => {
    const capacity = await cpuCapacity(setting, context);
    const load = loadOf(context, { sql: cpuSql, whoGivesUp: 'leaves' }, capacity);
    const contestants = [
      ...(await ofOneSize(setting)),
      await setting.weir('Weir as it comes, up to 100'),
      await setting.weir('Weir, resize.mode on', { resize: { mode: 'on' } }),
    ];
    // The search for how many run at once takes its time, and remembers.
    for (const { port } of contestants)
      await playOpen({ ...load, port, warmUpSeconds: 0, seconds: context.isQuick ? 2 : 8 });
    return {
      title: 'Pressure: 5 x overload, CPU-bound',
      about: `\`${cpuSql}\`: ${Math.round(capacity)} a second at best, without a proxy; ${load.perSecond} a second come. Clients, proxy and server share the cores, so nobody reaches that.`,
      ...(await measure(context, contestants, load, { capacity })),
      targets: [],
      notes: [
        'The capacity was measured in a minute of its own: on a machine that is busy with other things, more than that may be reached later.',
      ],
    };
  });
