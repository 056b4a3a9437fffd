/**
 * Questions of several workers about one catalog: one at a time at each node, never an older answer, and no connection that nobody
 * needs. Fails if a node that does not answer keeps questions to another one waiting, as its death without a word would.
 */
import { expect, test } from 'vitest';
import type { NodeConfig } from '../../src/config/config.ts';
import { CatalogReadings } from '../../src/topology/catalog-readings.ts';
import { nodeConfig } from './fixtures.ts';

const primary = nodeConfig('primary');
const replica = nodeConfig('replica');

/** Nodes that answer fingerprints with the number of the question there, unless told to be silent. */
class Nodes {
  readonly silent = new Map<string, (problem: Error) => void>();
  readonly open: string[] = [];
  asked = 0;
  private readonly silentNames = new Set<string>();

  silence(node: NodeConfig): void {
    this.silentNames.add(node.name);
  }

  readings(): CatalogReadings {
    return new CatalogReadings({
      connect: ({ name }) => {
        this.open.push(name);
        return Promise.resolve({
          query: () => {
            this.asked++;
            if (!this.silentNames.has(name)) return Promise.resolve([{ n: this.asked }]);
            return new Promise((_resolve, reject) => this.silent.set(name, reject));
          },
          close: () => {
            this.open.splice(this.open.indexOf(name), 1);
            return Promise.resolve();
          },
        });
      },
      fingerprint: async (query) => String((await query('SELECT n'))[0]?.['n']),
      readCatalog: () => Promise.reject(new Error('not here')),
    });
  }
}

test('a node that does not answer keeps no question to another one waiting', async () => {
  const nodes = new Nodes();
  nodes.silence(primary);
  const readings = nodes.readings();
  const lost = readings.ask(1, primary, 'fingerprint').catch((error: Error) => error.message);
  expect(await readings.ask(2, replica, 'fingerprint')).toEqual([{ fingerprint: '2' }]);
  expect(nodes.open).toEqual(['primary', 'replica']);
  nodes.silent.get('primary')?.(new Error('timed out'));
  expect(await lost).toBe('timed out');
  expect(await readings.ask(1, replica, 'fingerprint')).toEqual([{ fingerprint: '3' }]);
  expect(nodes.open).toEqual(['replica']);
  await readings.stop();
  expect(nodes.open).toEqual([]);
});

test('who asks while a question is under way gets a newer answer, with all others who do', async () => {
  const nodes = new Nodes();
  const readings = nodes.readings();
  const answers = [1, 2, 3].map((asker) => readings.ask(asker, primary, 'fingerprint'));
  expect(await Promise.all(answers)).toEqual(['1', '2', '2'].map((fingerprint) => [{ fingerprint }]));
  await readings.stop();
});

test('the connection is kept for those who ask again, to the node that was asked last', async () => {
  const nodes = new Nodes();
  const readings = nodes.readings();
  await readings.ask(1, primary, 'fingerprint');
  await readings.ask(2, primary, 'fingerprint');
  expect(nodes.open).toEqual(['primary']);
  await readings.ask(2, replica, 'fingerprint');
  expect(nodes.open).toEqual(['replica']);
  readings.release(2);
  expect(nodes.open).toEqual(['replica']);
  readings.release(1);
  await expect.poll(() => nodes.open).toEqual([]);
});
