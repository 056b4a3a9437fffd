/**
 * `npm run simulate`: the pool and the controller of Weir in simulated time, against pools of fixed sizes that wait in the order of
 * arrival, as PgBouncer's do. scripts/simulate.mjs starts it.
 */
import { lines } from '../numbers.ts';
import { loads } from './loads.ts';
import { simulate, type Figures, type Policy } from './simulate.ts';

const fixed = (size: number): Policy => ({
  name: `fixed ${size}`,
  settings: { defaultPoolSize: size, maxPoolSize: size, queueTargetMs: 0 },
  isResizing: false,
  isPlain: true,
});

export const fixedPolicies = [5, 10, 20, 50, 100].map(fixed);
/** Its defaults: 20 connections, one log-in at a time. */
export const pgbouncer: Policy = { ...fixed(20), name: 'PgBouncer', loginsAtOnce: 1 };
export const weirPolicies: readonly Policy[] = [
  { name: 'Weir', settings: {}, isResizing: true },
  { name: 'Weir, resize.mode on', settings: {}, isResizing: true, mode: 'on' },
];

function row(name: string, figures: Figures): string {
  const { perSecond, goodput, p50Ms, p99Ms, refusedPerSecond, gaveUpPerSecond, resizesPerHour, size, atOnce } = figures;
  const numbers = [
    perSecond,
    100 * goodput,
    p50Ms,
    p99Ms,
    refusedPerSecond,
    gaveUpPerSecond,
    resizesPerHour,
    size,
    atOnce,
  ];
  return `| ${[name, ...numbers.map((each) => (each === Infinity ? '-' : each.toFixed(each < 10 ? 1 : 0)))].join(' | ')} |`;
}

const only = process.argv.slice(2);
for (const [name, load] of Object.entries(loads)) {
  if (only.length > 0 && !only.includes(name)) continue;
  console.log(`\n### ${load.name}\n`);
  console.log(
    '| pool | answers/s in time | % of the CPU | p50 ms | p99 ms | refused/s | gave up/s | resizes/h | size | at once |',
  );
  console.log('| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |');
  const plot: [string, readonly number[]][] = [];
  for (const policy of [...fixedPolicies, pgbouncer, ...weirPolicies]) {
    const figures = await simulate(load, policy);
    if (policy.mode === 'on') {
      const later = await simulate({ ...load, warmUpSeconds: 120 }, policy);
      console.log(row(`${policy.name}, in the third minute`, later));
    }
    console.log(row(policy.name, figures));
    plot.push([policy.name, figures.bySecond]);
  }
  console.log(`\nanswers in time, second by second\n\`\`\`\n${lines(plot.slice(-3)).join('\n')}\n\`\`\``);
}
