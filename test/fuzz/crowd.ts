/**
 * Many clients at once in a world of test/fuzz/world.ts, and whether all is well behind them: the pools are whole, the next
 * proper client is served, nothing grows.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type fc from 'fast-check';
import { query, sync, terminate } from '../../src/protocol/write.ts';
import { createClassifier } from '../../src/sql/classifier.ts';
import { bind, chunksOf, execute, parseText } from './frames.ts';
import type { Sequence } from './frames.ts';
import { framesOf } from './rude-client.ts';
import type { Script } from './rude-client.ts';
import { soon } from './soon.ts';
import type { World, WorldOptions } from './world.ts';

export const classifier = await createClassifier();
/** Clients that are connected at the same time. */
export const crowdSize = 50;

/** `npm run check` does less of what takes long; CI and `npm test` do all of it. */
export const isQuick = process.env['WEIR_FUZZ_DEPTH'] === 'quick';

/** How many conversations there are: WEIR_FUZZ_SEQUENCES, or `usual`, and a fifth of that with WEIR_FUZZ_DEPTH=quick. */
export function conversationCount(usual: number): number {
  return Number(process.env['WEIR_FUZZ_SEQUENCES'] ?? (isQuick ? usual / 5 : usual));
}

/** fast-check's options: with WEIR_FUZZ_SEED it makes the same conversations again. */
export function runOptions<T>(numRuns: number): fc.Parameters<T> {
  const seed = process.env['WEIR_FUZZ_SEED'];
  const common = { numRuns, endOnFailure: true, asyncReporter: report<T> };
  return seed === undefined ? common : { ...common, seed: Number(seed) };
}

export const kinds: readonly Omit<WorldOptions, 'classifier'>[] = [
  { poolMode: 'transaction' },
  { poolMode: 'transaction', withReplica: false, poolSize: 1, maxPreparedStatements: 1 },
  { poolMode: 'session', poolSize: 8 },
  { poolMode: 'transaction', withCache: true, maxPreparedStatements: 0 },
  { poolMode: 'statement' },
];

/** Not one after another: a mutant of one must not be the next. */
export function newToken(): string {
  const letters = Array.from({ length: 6 }, () => String.fromCharCode(0x61 + Math.floor(26 * Math.random())));
  return `@${letters.join('')}@`;
}

export const scriptOf = (one: Sequence): Script => {
  const token = newToken();
  return { chunks: chunksOf(one, token), token, patience: one.patience, isDeaf: one.isDeaf };
};

/** A proper client: one simple statement, one prepared; its answers are exactly what PostgreSQL would say. */
export async function serveGoodClient(world: World): Promise<void> {
  const socket = world.connect();
  const heard: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => heard.push(chunk));
  const types = (): string =>
    framesOf(Buffer.concat(heard))
      .frames.map(({ type }) => String.fromCharCode(type))
      .join('');
  // With max_prepared_statements = 0 names are not Weir's business, and the last proper client's may still be there.
  const name = `good ${newToken()}`;
  socket.write(Buffer.concat([query('SELECT 1'), parseText(name, 'SELECT 2'), bind('', name), execute(''), sync]));
  await soon('the proper client to be served', () => /TDCZ12DCZ$/.test(types())).catch((error: Error) => {
    throw new Error(
      `${error.message}; it heard ${types()} (${Buffer.concat(heard).toString('latin1')}); ${world.problems().join('; ')}`,
    );
  });
  socket.end(terminate);
  await soon('it to be gone', () => world.sessions.size === 0);
}

export async function expectWhole(world: World): Promise<void> {
  let problems: string[] = [];
  await soon('the pool to be whole', () => (problems = world.problems()).length === 0).catch(() => {
    throw new Error(problems.join('\n'));
  });
}

/** A server that does not answer its reset is closed after five seconds: the world's clock is put forward instead. */
export async function outlastSilentServers(world: World): Promise<void> {
  await soon('the pool to be whole', () => world.problems().length === 0, 50).catch(() => world.pass(6_000));
}

/** Its bytes are in the error: fast-check's own counterexample would be pages of them. */
export function report<T>({ failed, seed, counterexamplePath, errorInstance }: fc.RunDetails<T>): Promise<void> {
  if (!failed) return Promise.resolve();
  return Promise.reject(new Error(`seed ${seed}, path ${counterexamplePath}`, { cause: errorInstance }));
}

/** What is still in use when all garbage is gone. */
export class Memory {
  private readonly collect: () => void;
  private base: number | undefined;
  mostGrown = 0;

  constructor() {
    setFlagsFromString('--expose-gc');
    this.collect = runInNewContext('gc') as () => void;
  }

  /** The first time, when everything has been used once, is what later ones are compared with. */
  look(): void {
    this.collect();
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    this.base ??= heapUsed + arrayBuffers;
    this.mostGrown = Math.max(this.mostGrown, heapUsed + arrayBuffers - this.base);
  }
}
