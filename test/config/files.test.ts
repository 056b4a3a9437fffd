/** The files that are made from, or must agree with, the tables: example configuration, reference pages, alert rules. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { sessionStatePage } from '../../src/binding/session-state.ts';
import { statesPage } from '../../src/session/states-page.ts';
import { errorsPage, settingsPage } from '../../src/config/docs.ts';
import { loadConfig } from '../../src/config/load.ts';
import { settingKeys } from '../../src/config/settings.ts';
import { listSettings } from '../../src/config/show.ts';
import { parseUsersFile } from '../../src/config/users.ts';
import { errorTable } from '../../src/errors/error-table.ts';

const root = join(import.meta.dirname, '../..');
const read = (name: string): string => readFileSync(join(root, name), 'utf8');

describe('config/weir.yaml', () => {
  it('is a configuration in which every setting has its default', () => {
    // Its own users.txt, if somebody made one, is none of the test's business.
    const result = loadConfig({ text: read('config/weir.yaml'), file: '/nowhere/weir.yaml', env: {} });
    if ('problems' in result) throw new Error(result.problems.join('\n'));
    const rows = listSettings(result.config).filter((row) => !row.key.startsWith('databases.'));
    for (const row of rows) {
      if (row.key !== 'auth.file') expect([row.key, row.value]).toEqual([row.key, row.default]);
    }
    expect([...result.config.databases.keys()]).toEqual(['*']);
  });

  it('names every setting', () => {
    const tree: unknown = parse(read('config/weir.yaml'));
    const at = (key: string): unknown =>
      key.split('.').reduce<unknown>((node, part) => (node as Record<string, unknown> | undefined)?.[part], tree);
    for (const key of settingKeys) expect([key, at(key) !== undefined]).toEqual([key, true]);
  });

  it('its commented databases work, too', () => {
    const text = read('config/weir.yaml').replace(/^ {2}# ( *(?:shop|primary|replicas|-|max_pool_size).*)$/gm, '  $1');
    const result = loadConfig({ text, file: '/nowhere/weir.yaml', env: {} });
    const shop = 'config' in result ? result.config.databases.get('shop') : undefined;
    expect(shop?.replicas.map((node) => node.name)).toEqual(['db2', 'db3']);
    expect(shop?.pool.maxPoolSize).toBe(40);
  });
});

describe('config/users.txt.example', () => {
  it('is a users file', () => {
    const { users, problems } = parseUsersFile(read('config/users.txt.example'));
    expect(problems).toEqual([]);
    expect([...users.keys()]).toEqual(['weir', 'app']);
  });
});

describe('reference pages', () => {
  it('docs/settings.md is up to date (npm run docs)', () => {
    expect(read('docs/settings.md')).toBe(settingsPage());
  });

  it('docs/errors.md is up to date (npm run docs)', () => {
    expect(read('docs/errors.md')).toBe(errorsPage());
  });

  it('docs/states.md is up to date (npm run docs)', () => {
    expect(read('docs/states.md')).toBe(statesPage());
  });

  it('docs/session-state.md is up to date (npm run docs)', () => {
    expect(read('docs/session-state.md')).toBe(sessionStatePage());
  });

  it('name everything', () => {
    for (const key of settingKeys) expect(settingsPage()).toContain(`\`${key}\``);
    for (const name of Object.keys(errorTable)) expect(errorsPage()).toContain(`\`${name}\``);
  });
});

describe('Prometheus files', () => {
  /** Every metric that src/observability names. */
  const folder = join(root, 'src/observability');
  const names = readdirSync(folder).filter((name) => name.endsWith('.ts'));
  const sources = names.map((name) => readFileSync(join(folder, name), 'utf8'));
  const metrics = new Set(sources.flatMap((text) => [...text.matchAll(/'(weir_\w+)'/g)].map((match) => match[1])));

  interface Rules {
    readonly groups: readonly { readonly rules: readonly { readonly alert: string; readonly expr: string }[] }[];
  }

  it('alerts only ask for metrics that exist', () => {
    const { groups } = parse(read('config/alerts.yml')) as Rules;
    const rules = groups.flatMap((group) => group.rules);
    expect(rules.length).toBeGreaterThan(8);
    for (const { alert, expr } of rules) {
      for (const [name] of expr.matchAll(/weir_\w+/g)) {
        expect([alert, name, metrics.has(name.replace(/_(bucket|sum|count)$/, ''))]).toEqual([alert, name, true]);
      }
    }
  });

  it('the scrape configuration loads them', () => {
    expect(parse(read('config/prometheus.yml'))).toMatchObject({
      rule_files: ['alerts.yml'],
      scrape_configs: [{ job_name: 'weir', metrics_path: '/metrics' }],
    });
  });
});
