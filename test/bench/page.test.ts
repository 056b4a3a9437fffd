/** Sections that are measured by themselves in docs/benchmarks.md: they replace those of their title, and nothing else changes. */
import { expect, test } from 'vitest';
import { withSections } from '../../bench/page.ts';
import { atLeast, page, type Section } from '../../bench/report.ts';

const section = (title: string, value: number): Section => ({
  title,
  about: `About ${title}.`,
  columns: ['', 'tps'],
  rows: [{ label: 'Weir', cells: [value] }],
  targets: [atLeast(`${title}: at least 2`, value, 2)],
  notes: [],
});

const before = page({ cores: '2' }, 'How.', [section('One (a/b)', 1), section('Two', 2)]);

test('a section that is there is replaced, with its target', () => {
  const after = withSections(before, [section('One (a/b)', 3)], 'Measured by itself.');
  expect(after).toContain('| One (a/b): at least 2 | 3 x | pass |');
  expect(after).not.toContain('FAIL');
  expect(after).toMatch(/\| Weir \| 3 \|\n\n- Measured by itself\.\n\n## Two\n/);
  expect(after.match(/^## /gm)).toHaveLength(3);
  expect(withSections(after, [section('One (a/b)', 3)], 'Measured by itself.')).toBe(after);
});

test('a new one comes at the end, and its target after the others', () => {
  const after = withSections(before, [{ ...section('Three', 1), plot: ['#### 1'] }], 'Measured by itself.');
  expect(after.startsWith(before.slice(0, before.indexOf('## Targets')))).toBe(true);
  expect(after).toContain('| Two: at least 2 | 2 x | pass |\n| Three: at least 2 | 1 x | FAIL |\n\n## One');
  expect(after.endsWith('| Weir | 1 |\n\n```\n#### 1\n```\n\n- Measured by itself.\n')).toBe(true);
});
