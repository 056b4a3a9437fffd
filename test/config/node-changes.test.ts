/** NODE ADD and NODE REMOVE on a configuration, and what a reload keeps of them. */
import { describe, expect, it } from 'vitest';
import type { Config } from '../../src/config/config.ts';
import { loadConfig } from '../../src/config/load.ts';
import { keepAddedNodes, withNodeChange, type NodeChange } from '../../src/config/node-changes.ts';

function load(replicas: readonly string[], primary = 'postgres://app:pw@db1/shop'): Config {
  const text = JSON.stringify({ databases: { shop: { primary, replicas }, '*': { primary: 'postgres://db1' } } });
  const result = loadConfig({ text, env: {} });
  if ('problems' in result) throw new Error(result.problems.join('; '));
  return result.config;
}

const add = (url: string, more: object = {}, database = 'shop'): NodeChange => ({
  do: 'addNode',
  node: { database, url, ...more },
});
const remove = (node: string, database = 'shop'): NodeChange => ({ do: 'removeNode', database, node });
const change = (config: Config, what: NodeChange, office = 'db1') =>
  withNodeChange(config, what, (_, node) => node === office);

function changed(config: Config, ...changes: readonly NodeChange[]): Config {
  return changes.reduce((before, what) => {
    const after = change(before, what);
    if ('problem' in after) throw new Error(after.problem);
    return after.config;
  }, config);
}

const names = (config: Config, database = 'shop'): string[] =>
  config.databases.get(database)!.replicas.map(({ name }) => name);

describe('a change', () => {
  it('adds a node with the database of the primary', () => {
    const config = changed(load(['postgres://db2']), add('postgres://app:pw@db3:5433', { weight: 2, zone: 'a' }));
    expect(config.databases.get('shop')!.replicas[1]).toEqual({
      ...{ name: 'db3', host: 'db3', port: 5433, database: 'shop', user: 'app', password: 'pw' },
      ...{ weight: 2, zone: 'a', source: 'operator' },
    });
    expect(names(changed(load([]), add('postgres://db1:5433'), add('postgres://db9', {}, '*')), '*')).toEqual(['db9']);
  });

  it.each<[string, NodeChange, RegExp]>([
    ['a server twice', add('postgres://db2:5432'), /db2:5432 is a node of shop already: db2/],
    ['a name twice', add('postgres://db3', { name: 'db2' }), /the name db2 is given to both/],
    ['an unknown database', add('postgres://db3', {}, 'blog'), /no database "blog"; it has shop, \*/],
    ['no URL', add('db3'), /the node is not a URL/],
    ['a weight of nothing', add('postgres://db3', { weight: NaN }), /weight that is not a number/],
    ['another database', add('postgres://db3/blog'), /another database than its primary/],
    ['removing the primary', remove('db1'), /db1 is the primary of shop in the configuration/],
    ['removing what is not there', remove('db9'), /no node "db9"; it has db1, db2/],
  ])('refuses %s', (_what, what, problem) => {
    const result = change(load(['postgres://db2']), what);
    expect('problem' in result && result.problem).toMatch(problem);
  });

  it('refuses to remove the primary in office', () => {
    const result = change(load(['postgres://db2']), remove('db2'), 'db2');
    expect(result).toEqual({ problem: 'db2 is the primary of shop: it cannot be removed' });
  });

  it('refuses more nodes than there are bits', () => {
    const many = load(Array.from({ length: 30 }, (_, index) => `postgres://r${index}`));
    expect(change(many, add('postgres://db3'))).toEqual({ problem: 'shop has 31 nodes already' });
  });
});

describe('a reload', () => {
  const running = changed(load(['postgres://db2']), add('postgres://db3'), remove('db2'));

  it('keeps what was added, and has the nodes of the file back', () => {
    const { config, notices } = keepAddedNodes(running, load(['postgres://db2']));
    expect(names(config)).toEqual(['db2', 'db3']);
    expect(notices).toEqual(['node db2 of shop was added, as the configuration says']);
  });

  it.each([['postgres://db3:5432'], ['postgres://other:5432']])('lets the file win: %s', (url) => {
    const added = changed(load(['postgres://db2']), add('postgres://db3', { name: 'other' }));
    const { config, notices } = keepAddedNodes(added, load(['postgres://db2', url]));
    expect(config.databases.get('shop')!.replicas.map(({ source }) => source)).toEqual([undefined, undefined]);
    expect(notices[0]).toBe('node other of shop, which was added, is now as the configuration says');
  });

  it('says that a node is gone with its database', () => {
    const file = loadConfig({ text: 'databases: { blog: { primary: postgres://db1 } }', env: {} });
    if ('problems' in file) throw new Error();
    expect(keepAddedNodes(running, file.config).notices).toEqual([
      'node db3, which was added, is gone with its database shop',
    ]);
  });
});
