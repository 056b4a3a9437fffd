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

function table(columns: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(columns), line(columns.map((_, i) => (i === 0 ? '---' : '---:'))), ...rows.map(line)].join('\n');
}

export function sectionText(section: Section): string {
  const cell = (value: number | string | undefined): string => (typeof value === 'string' ? value : show(value));
  const rows = section.rows.map(({ label, cells }) => [label, ...cells.map(cell)]);
  const notes = section.notes.map((note) => `- ${note}`).join('\n');
  const parts = [`## ${section.title}`, section.about, table(section.columns, rows), notes];
  return parts.filter((part) => part !== '').join('\n\n');
}

export function page(facts: Readonly<Record<string, string>>, how: string, sections: readonly Section[]): string {
  const targets = sections.flatMap((section) => section.targets);
  return `# Benchmarks

Written by \`npm run bench\`; do not edit. Absolute figures belong to the machine of the day, the ratios travel further:
everything of one table ran side by side, in turns, in one run, and the medians are shown.

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
