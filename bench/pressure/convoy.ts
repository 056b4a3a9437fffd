/** A lock convoy: many clients update one row, and others read. What is left for those who read. */
import type { Contestant } from '../contestants.ts';
import type { BenchContext } from '../context.ts';
import { bars, medianOf } from '../numbers.ts';
import type { Section } from '../report.ts';
import { playClosed, type Kind, type KindOutcome } from './closed-load.ts';
import { SIZE, fixed, inTurns, withSetting } from './setting.ts';

const WRITERS = 40;
const READERS = 20;
/** The row is locked for two milliseconds and more. */
const updateSql = 'UPDATE hot SET n = n + 1 WHERE id = 1 RETURNING pg_sleep(0.002)';

const kinds: readonly Kind[] = [
  { clients: WRITERS, sql: () => updateSql },
  { clients: READERS, sql: () => `SELECT balance FROM accounts WHERE id = ${1 + Math.floor(Math.random() * 100_000)}` },
];

export const pressureConvoy = (context: BenchContext): Promise<Section> =>
  withSetting(context, async ({ direct, bouncer, weir }) => {
    const contestants: Contestant[] = [
      direct,
      ...(await bouncer()),
      ...(await bouncer({ size: 100 })),
      await weir(`Weir, ${SIZE}`, fixed),
      await weir('Weir as it comes, up to 100'),
      await weir('Weir, resize.mode on', { resize: { mode: 'on' } }),
    ];
    const times = { warmUpSeconds: 2, seconds: context.seconds };
    const results = await inTurns(
      context,
      contestants,
      async ({ port }) => (await playClosed(port, kinds, times)) as [KindOutcome, KindOutcome],
      ([updates, reads]) => `${Math.round(updates.perSecond)} updates/s, ${Math.round(reads.perSecond)} reads/s`,
    );
    const of = (name: string, kind: 0 | 1, figure: keyof KindOutcome): number | undefined =>
      medianOf((results.get(name) ?? []).map((outcomes) => outcomes[kind][figure]));
    return {
      title: 'Pressure: a lock convoy',
      about: `${WRITERS} clients update one row (\`${updateSql}\`), ${READERS} read others by key; all ask again at once.`,
      columns: ['', 'reads/s', 'p50, ms', 'p99, ms', 'updates/s', 'p50 of updates, ms', 'p99 of updates, ms'],
      rows: contestants.map(({ name }) => ({
        label: name,
        cells: [
          ...(['perSecond', 'p50Ms', 'p99Ms'] as const).map((figure) => of(name, 1, figure)),
          ...(['perSecond', 'p50Ms', 'p99Ms'] as const).map((figure) => of(name, 0, figure)),
        ],
      })),
      targets: [],
      notes: [],
      plot: ['reads a second', ...bars(contestants.map(({ name }) => [name, of(name, 1, 'perSecond') ?? 0]))],
    };
  });
