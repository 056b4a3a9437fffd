/**
 * 100,000 random, mutated and cut-off conversations behind the log-in: real sessions, pools and routing, in memory,
 * with a scripted PostgreSQL. None may take the process, a server, a place or another client's answer with it; the
 * next proper client must be served. WEIR_FUZZ_SEQUENCES=1000000 runs more, WEIR_FUZZ_SEED others.
 */
import { readFileSync, readdirSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  classifier,
  conversationCount,
  crowdSize,
  expectWhole,
  kinds,
  newToken,
  runOptions,
  scriptOf,
  serveGoodClient,
} from './crowd.ts';
import { sequence } from './frames.ts';
import { runScript } from './rude-client.ts';
import type { Script } from './rude-client.ts';
import { makeWorld } from './world.ts';
import type { World } from './world.ts';

const corpus = new URL('../corpus/frames/', import.meta.url);
const wanted = conversationCount(100_000);

async function runCrowd(world: World, scripts: readonly Script[]): Promise<void> {
  const tokens = new Set(scripts.map(({ token }) => token));
  const complaints = await Promise.all(scripts.map((script) => runScript(world, script, (token) => tokens.has(token))));
  complaints.forEach((found, i) => {
    if (found.length > 0)
      throw new Error(`${found.join('; ')}\n${scripts[i]?.chunks.map((chunk) => chunk.toString('hex')).join('\n')}`);
  });
  await expectWhole(world).catch((error: unknown) => {
    const said = scripts.map(({ chunks }) => chunks.map((chunk) => chunk.toString('hex')).join('\n'));
    throw new Error(`${(error as Error).message}\n${said.join('\n\n')}`);
  });
  await serveGoodClient(world);
  await expectWhole(world);
}

describe('what is said behind the log-in', () => {
  it(`${wanted} conversations`, { timeout: 240_000 + 2 * wanted }, async () => {
    const worlds = kinds.map((kind) => makeWorld({ classifier, ...kind }));
    let count = 0;
    let mostBytes = 0;
    const rounds = Math.ceil(wanted / crowdSize);
    try {
      const property = fc.asyncProperty(
        fc.array(sequence, { minLength: crowdSize, maxLength: crowdSize }),
        async (sequences) => {
          const world = worlds[Math.floor(count / crowdSize) % worlds.length] as World;
          count += sequences.length;
          await runCrowd(world, sequences.map(scriptOf));
          mostBytes = Math.max(mostBytes, process.memoryUsage().arrayBuffers);
        },
      );
      await fc.assert(property, runOptions(rounds));
    } finally {
      for (const world of worlds) world.stop();
    }
    expect(count).toBeGreaterThanOrEqual(wanted);
    expect(mostBytes).toBeLessThan(512 * 1024 * 1024);
  });

  it.each(readdirSync(corpus).filter((name) => name.endsWith('.hex')))('once found: %s', async (name) => {
    const chunks = readFileSync(new URL(name, corpus), 'latin1')
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => Buffer.from(line, 'hex'));
    for (const kind of kinds) {
      for (const patience of [0, 3]) {
        const world = makeWorld({ classifier, ...kind });
        try {
          await runCrowd(world, [{ chunks, token: newToken(), patience, isDeaf: false }]);
        } finally {
          world.stop();
        }
      }
    }
  });
});
