/**
 * 100,000 random, mutated and cut-off conversations behind the log-in: real sessions, pools and routing, in memory,
 * with a scripted PostgreSQL. None may take the process, a server, a place or another client's answer with it; the
 * next proper client must be served. WEIR_FUZZ_SEQUENCES=1000000 runs more.
 */
import { readFileSync, readdirSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { until } from '../../integration/harness/until.ts';
import { query, sync, terminate } from '../../src/protocol/write.ts';
import { createClassifier } from '../../src/sql/classifier.ts';
import { bind, chunksOf, execute, parseText, sequence } from './frames.ts';
import type { Sequence } from './frames.ts';
import { framesOf, runScript } from './rude-client.ts';
import type { Script } from './rude-client.ts';
import { makeWorld } from './world.ts';
import type { World, WorldOptions } from './world.ts';

const classifier = await createClassifier();
const corpus = new URL('../corpus/frames/', import.meta.url);
const wanted = Number(process.env['WEIR_FUZZ_SEQUENCES'] ?? 100_000);
/** Clients that are connected at the same time. */
const crowd = 50;

const kinds: readonly Omit<WorldOptions, 'classifier'>[] = [
  { poolMode: 'transaction' },
  { poolMode: 'transaction', withReplica: false, poolSize: 1, maxPreparedStatements: 1 },
  { poolMode: 'session', poolSize: 8 },
  { poolMode: 'transaction', withCache: true, maxPreparedStatements: 0 },
  { poolMode: 'statement' },
];

let lastName = 0;
/** Not one after another: a mutant of one must not be the next. */
function newToken(): string {
  const letters = Array.from({ length: 6 }, () => String.fromCharCode(0x61 + Math.floor(26 * Math.random())));
  return `@${letters.join('')}@`;
}

const scriptOf = (one: Sequence): Script => {
  const token = newToken();
  return { chunks: chunksOf(one, token), token, patience: one.patience, isDeaf: one.isDeaf };
};

/** A proper client: one simple statement, one prepared; its answers are exactly what PostgreSQL would say. */
async function serveGoodClient(world: World): Promise<void> {
  const socket = world.connect();
  const heard: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => heard.push(chunk));
  const types = (): string =>
    framesOf(Buffer.concat(heard))
      .frames.map(({ type }) => String.fromCharCode(type))
      .join('');
  // With max_prepared_statements = 0 names are not Weir's business, and the last proper client's may still be there.
  const name = `good ${++lastName}`;
  socket.write(Buffer.concat([query('SELECT 1'), parseText(name, 'SELECT 2'), bind('', name), execute(''), sync]));
  await until('the proper client to be served', () => /TDCZ12DCZ$/.test(types()), { intervalMs: 1 }).catch(
    (error: Error) => {
      throw new Error(
        `${error.message}; it heard ${types()} (${Buffer.concat(heard).toString('latin1')}); ${world.problems().join('; ')}`,
      );
    },
  );
  socket.end(terminate);
  await until('it to be gone', () => world.sessions.size === 0, { intervalMs: 1 });
}

async function expectWhole(world: World): Promise<void> {
  let problems: string[] = [];
  await until('the pool to be whole', () => (problems = world.problems()).length === 0, { intervalMs: 1 }).catch(() => {
    throw new Error(problems.join('\n'));
  });
}

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

/** The bytes are in the error; fast-check's own counterexample would be pages of them. */
function report({ failed, seed, counterexamplePath, errorInstance }: fc.RunDetails<[Sequence[]]>): Promise<void> {
  if (!failed) return Promise.resolve();
  return Promise.reject(new Error(`seed ${seed}, path ${counterexamplePath}`, { cause: errorInstance }));
}

describe('what is said behind the log-in', () => {
  it(`${wanted} conversations`, { timeout: 240_000 + 2 * wanted }, async () => {
    const worlds = kinds.map((kind) => makeWorld({ classifier, ...kind }));
    let count = 0;
    let mostBytes = 0;
    try {
      const property = fc.asyncProperty(
        fc.array(sequence, { minLength: crowd, maxLength: crowd }),
        async (sequences) => {
          const world = worlds[Math.floor(count / crowd) % worlds.length] as World;
          count += sequences.length;
          await runCrowd(world, sequences.map(scriptOf));
          mostBytes = Math.max(mostBytes, process.memoryUsage().arrayBuffers);
        },
      );
      await fc.assert(property, { numRuns: Math.ceil(wanted / crowd), endOnFailure: true, asyncReporter: report });
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
