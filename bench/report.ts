/**
 * The results of a benchmark run as a Markdown page: medians, ratios, and the targets with pass or fail.
 */
import { show } from './numbers.ts';

/** One row: what was measured for whom. Undefined cells are shown as "-". */
export interface Row {
  readonly label: string;
  readonly cells: readonly (number | string | undefined)[];
}

export interface Target {
  readonly text: string;
  /** Undefined: could not be measured here; `why` says so. */
  readonly isMet: boolean | undefined;
  readonly measured: string;
}

export interface Section {
  readonly title: string;
  readonly about: string;
  readonly columns: readonly string[];
  readonly rows: readonly Row[];
  readonly targets: readonly Target[];
  readonly notes: readonly string[];
  /** Lines of text, drawn below the table. */
  readonly plot?: readonly string[];
}

export function atLeast(text: string, value: number | undefined, limit: number, unit = ' x'): Target {
  return { text, isMet: value === undefined ? undefined : value >= limit, measured: show(value) + unit };
}

export function atMost(text: string, value: number | undefined, limit: number, unit: string): Target {
  return { text, isMet: value === undefined ? undefined : value <= limit, measured: show(value) + unit };
}

function verdict({ isMet }: Target): string {
  if (isMet === undefined) return 'not measured';
  return isMet ? 'pass' : 'FAIL';
}

/** Its line in the table of targets. */
export function targetRow(target: Target): string {
  return tableLine([target.text, target.measured, verdict(target)]);
}

const tableLine = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;

function table(columns: readonly string[], rows: readonly (readonly string[])[]): string {
  const under = columns.map((_, i) => (i === 0 ? '---' : '---:'));
  return [columns, under, ...rows].map(tableLine).join('\n');
}

export function sectionText(section: Section): string {
  const cell = (value: number | string | undefined): string => (typeof value === 'string' ? value : show(value));
  const rows = section.rows.map(({ label, cells }) => [label, ...cells.map(cell)]);
  const notes = section.notes.map((note) => `- ${note}`).join('\n');
  const plot = section.plot === undefined ? '' : ['```', ...section.plot, '```'].join('\n');
  const parts = [`## ${section.title}`, section.about, table(section.columns, rows), plot, notes];
  return parts.filter((part) => part !== '').join('\n\n');
}

/** The short form for the README: throughput side by side, and what else was measured against its target. */
export function digest(facts: Readonly<Record<string, string>>, sections: readonly Section[]): string {
  const throughput = sections.filter(({ columns }) => columns[1] === 'tps');
  const rows = throughput.map(({ title, rows }) => {
    const tps = (name: string): string => show(rows.find(({ label }) => label.startsWith(name))?.cells[0] as number);
    return [title, tps('direct'), tps('PgBouncer'), tps('Weir')];
  });
  const others = sections.filter((section) => !throughput.includes(section)).flatMap(({ targets }) => targets);
  const list = others.map(
    (target) => `- ${target.text}: ${target.measured}${target.isMet === false ? ' (target missed)' : ''}`,
  );
  const { cores, PostgreSQL, PgBouncer } = facts;
  return `Transactions per second with 32 clients on 10 server connections; PostgreSQL ${PostgreSQL}, PgBouncer ${PgBouncer}, Weir and
pgbench share ${cores} cores (\`npm run bench\`, [docs/benchmarks.md](docs/benchmarks.md)):

${table(['', 'direct', 'PgBouncer', 'Weir'], rows)}

${list.join('\n')}`;
}

export function page(facts: Readonly<Record<string, string>>, how: string, sections: readonly Section[]): string {
  const targets = sections.flatMap((section) => section.targets);
  return `# Benchmarks

Written by \`npm run bench\`; do not edit. Compare the ratios rather than the absolute figures, which depend on the machine:
the rows of a table were measured in turns, in one run, and the medians are shown.

${table(['machine', ''], Object.entries(facts))}

${how}

## Targets

${table(
  ['target', 'measured', ''],
  targets.map((target) => [target.text, target.measured, verdict(target)]),
)}

${sections.map(sectionText).join('\n\n')}
`;
}
