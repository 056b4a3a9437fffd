/**
 * Workers tell each other of writes wherever a replica may be read. Fails if a client reads from a replica that another worker does
 * not count, and so lacks a write that was acknowledged through that worker.
 */
import { expect, test } from 'vitest';
import { mayHaveReplicas } from '../../src/app/shared-cache.ts';
import { loadConfig } from '../../src/config/load.ts';

const saysOf = (replicas: string, more = ''): boolean => {
  const shop = `{ primary: 'postgres://db1/shop', replicas: [${replicas}] }`;
  const loaded = loadConfig({ text: `databases: { shop: ${shop} }\n${more}`, env: {} });
  if ('problems' in loaded) throw new Error(loaded.problems.join('; '));
  return mayHaveReplicas(loaded.config);
};

test('replicas of the configuration count', () => {
  expect(saysOf("'postgres://db2/shop'")).toBe(true);
  expect(saysOf('')).toBe(false);
});

test('so do those that any worker may have found by itself, although no configuration names them', () => {
  expect(saysOf('', 'routing: { auto_discover: true }')).toBe(true);
});
