/**
 * What the pages name is there: settings, metrics, words of SHOW, commands of weir; and blocks of YAML load. Rename a setting and leave a
 * page as it is to see it fail.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { verbsOf } from '../../src/cli/run.ts';
import { loadConfig } from '../../src/config/load.ts';
import { settingKeys } from '../../src/config/settings.ts';
import { commands } from '../../src/console/commands.ts';
import { createMetrics } from '../../src/observability/metrics.ts';
import { fakeProcess } from '../cli/run-in-memory.ts';
import { fakeSources } from '../console/fakes.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const filesIn = (dir: string, end: string): string[] =>
  readdirSync(join(root, dir), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(end))
    .map((name) => `${dir}/${name}`);

/** Decisions tell what was then. */
const pages = ['README.md', ...filesIn('docs', '.md').filter((page) => !page.startsWith('docs/adr/'))];

interface Page {
  readonly page: string;
  readonly blocks: readonly { readonly language: string; readonly text: string }[];
  /** What stands between backticks. */
  readonly spans: readonly string[];
}

const all: readonly Page[] = pages.map((page) => {
  const text = read(page);
  const blocks = [...text.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].map(([, language = '', block = '']) => ({
    language,
    text: block,
  }));
  const spans = [...text.replace(/^```[\s\S]*?^```$/gm, '').matchAll(/`([^`\n]+)`/g)].map(([, span = '']) => span);
  return { page, blocks, spans };
});

/** @returns `page: name` for each name that is not known; fails if fewer than `least` names were found at all */
function unknown(
  namesOf: (page: Page) => readonly string[],
  isKnown: (name: string) => boolean,
  least: number,
): string[] {
  const found = all.flatMap((page) => namesOf(page).map((name) => ({ page: page.page, name })));
  expect(found.length).toBeGreaterThan(least);
  return [...new Set(found.filter(({ name }) => !isKnown(name)).map(({ page, name }) => `${page}: ${name}`))];
}

test('settings', () => {
  const keys: readonly string[] = settingKeys;
  const groups = new Set(keys.filter((key) => key.includes('.')).map((key) => key.split('.')[0]));
  const isKnown = (name: string): boolean => keys.some((key) => key === name || key.startsWith(`${name}.`));
  const namesOf = ({ spans }: Page): string[] =>
    spans
      .map((span) => /^([a-z_]+(?:\.[a-z_]+)+)(?=$|[:= ])/.exec(span)?.[1] ?? '')
      .filter((name) => groups.has(name.split('.')[0]) && !/\.(ts|yaml|md|txt|conf|pem|key|file\.ts)$/.test(name));
  expect(unknown(namesOf, isKnown, 100)).toEqual([]);
});

test('metrics', async () => {
  const metrics = createMetrics(fakeSources());
  const names = new Set([...(await metrics.text()).matchAll(/^# TYPE (weir_\w+)/gm)].map(([, name = '']) => name));
  metrics.close();
  const sources = filesIn('src/observability', '.ts').map(read).join('\n');
  // Parts of histograms; and what is registered only if it is configured.
  const isKnown = (name: string): boolean =>
    names.has(name) || names.has(name.replace(/_(bucket|count|sum)$/, '')) || new RegExp(`\\b${name}\\b`).test(sources);
  const namesOf = ({ spans }: Page): string[] =>
    spans.flatMap((span) => /^weir_[a-z_]+[a-z](?=$|\{)/.exec(span) ?? []).filter((name) => !examples.has(name));
  expect(unknown(namesOf, isKnown, 50)).toEqual([]);
});

/** Users and schemas, and the function that Weir answers. */
const examples = new Set(['weir_monitor', 'weir_auth', 'weir_invalidate']);

test('words of SHOW', () => {
  const namesOf = ({ spans, blocks }: Page): string[] =>
    [...spans, ...blocks.map(({ text }) => text)].flatMap((text) =>
      [...text.matchAll(/\bSHOW ([A-Z][A-Z_]+)\b/g)].map(([, name = '']) => name),
    );
  expect(unknown(namesOf, (name) => commands.has(`SHOW ${name}`), 20)).toEqual([]);
});

test('commands', () => {
  const verbs = verbsOf([], { loadApp: () => Promise.reject(new Error('nothing is served')), events: fakeProcess() });
  const lines = ({ spans, blocks }: Page): readonly string[] => [
    ...spans,
    ...blocks.flatMap(({ text }) => text.split('\n')),
  ];
  const namesOf = (page: Page): string[] =>
    lines(page).flatMap(
      (line) => /^(?:\$ )?(?:weir|node bin\/weir\.js) ([a-z][a-z-]*)\b(?![.:=])/.exec(line)?.[1] ?? [],
    );
  const isKnown = (name: string): boolean => verbs.has(name) || name === 'help' || name === 'version';
  expect(unknown(namesOf, isKnown, 50)).toEqual([]);
});

test('blocks of YAML load', () => {
  const blocks = all.flatMap(({ page, blocks: of }) =>
    of
      .filter(
        ({ language, text }) =>
          language === 'yaml' && !/^(apiVersion|services|spec|triggers|- alert|groups):?/m.test(text),
      )
      .map((block) => ({ page, ...block })),
  );
  expect(blocks.length).toBeGreaterThan(10);
  const problems = blocks.flatMap(({ page, text }) => {
    // The rest of a configuration, for what is only a part of one.
    const whole = /^databases:/m.test(text) ? text : `${text}\ndatabases: { shop: { primary: postgres://db1/shop } }\n`;
    const result = loadConfig({ text: whole, file: '/nowhere/weir.yaml', env: {} });
    const found = 'problems' in result ? result.problems : [];
    // Files that only an operator has.
    return found
      .filter((problem) => !/does not exist|is not a directory$/.test(problem))
      .map((problem) => `${page}: ${problem}`);
  });
  expect(problems).toEqual([]);
});
