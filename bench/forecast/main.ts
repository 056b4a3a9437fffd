/**
 * `npm run backtest`: the traces of bench/traces with and without the forecast, as a table, and a day as a plot. scripts/backtest.mjs
 * starts it. With --traces it writes the traces anew.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileOf, makeTraces, textOf, type Trace } from '../traces/generate.ts';
import { replay, type Outcome } from './replay.ts';

const folder = join(process.cwd(), 'bench/traces');
const traces = makeTraces();

function row(trace: Trace, without: Outcome, withIt: Outcome): string {
  const pair = (of: (outcome: Outcome) => number, digits = 0): string[] =>
    [without, withIt].map((outcome) => of(outcome).toFixed(digits));
  const cells = [
    `${trace.name}: ${trace.about}`,
    ...pair(({ overTargetSeconds }) => overTargetSeconds, 1),
    ...pair(({ coldConnects }) => coldConnects),
    ...pair(({ idleHours }) => idleHours),
  ];
  return `| ${cells.join(' | ')} |`;
}

/** Half hours from left to right: `#` what was needed, `.` what was predicted above it. */
function plotOf({ plot }: Outcome): string {
  const halfHours = Array.from({ length: 48 }, (_, at) => plot.slice(at * 6, at * 6 + 6));
  const most = (of: (each: Outcome['plot'][number]) => number): number[] =>
    halfHours.map((slots) => Math.max(0, ...slots.map(of)));
  const demand = most((each) => each.demand);
  const predicted = most((each) => each.predicted ?? 0);
  const lines: string[] = [];
  for (let level = 40; level > 0; level -= 5) {
    const bar = demand.map((needed, at) => (needed >= level ? '#' : (predicted[at] ?? 0) >= level ? '.' : ' '));
    lines.push(`${String(level).padStart(3)} |${bar.join('')}`.trimEnd());
  }
  return [...lines, `    +${'-'.repeat(48)}`, '     00    03    06    09    12    15    18    21'].join('\n');
}

if (process.argv.includes('--traces')) {
  for (const trace of traces) writeFileSync(join(folder, fileOf(trace)), textOf(trace));
} else {
  console.log('| trace | s over target: without | with | cold log-ins: without | with | idle hours: without | with |');
  console.log('| --- | ---: | ---: | ---: | ---: | ---: | ---: |');
  let office: Outcome | undefined;
  for (const { name } of traces) {
    const trace = JSON.parse(readFileSync(join(folder, `${name}.json`), 'utf8')) as Trace;
    const withIt = replay(trace, { isForecasting: true });
    office ??= withIt;
    console.log(row(trace, replay(trace, { isForecasting: false }), withIt));
  }
  if (office !== undefined) console.log(`\n${plotOf(office)}`);
}
