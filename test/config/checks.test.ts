/**
 * Which Node can share an address (so_reuseport). Fails if a Node that would ignore the setting is taken for one that can, and
 * a second Weir then does not start.
 */
import { expect, it } from 'vitest';
import { hasReusePort } from '../../src/config/checks.ts';
import { loadConfig } from '../../src/config/load.ts';

it.each([
  ['20.20.2', false],
  ['22.11.0', false],
  ['22.12.0', true],
  ['23.0.0', false],
  ['23.1.0', true],
  ['24.0.0', true],
])('Node %s: %s', (version, can) => expect(hasReusePort(version)).toBe(can));

it('so_reuseport is refused with file, line and key where this Node cannot', () => {
  const text = 'so_reuseport: true\ndatabases: { shop: { primary: postgres://db1/shop } }\n';
  const result = loadConfig({ text, file: '/etc/weir.yaml', env: {} });
  const problems = 'problems' in result ? result.problems : [];
  if (hasReusePort(process.versions.node)) expect(problems).toEqual([]);
  else expect(problems).toEqual([expect.stringMatching(/weir\.yaml:1: so_reuseport: true needs Node 22\.12, 23\.1/)]);
});
