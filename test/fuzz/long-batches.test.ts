/**
 * However long a batch or a pipeline is, each of its messages costs the same: counted, not timed. A client that sends four
 * times as much may bring out four times as many steps in every place of the code. WEIR_FUZZ_DEPTH=quick skips most.
 */
import { describe, expect, test } from 'vitest';
import { until } from '../../integration/harness/until.ts';
import { close, describe as describeMessage, flush, readyForQuery, query, sync } from '../../src/protocol/write.ts';
import { Backend } from '../../src/protocol/codes.ts';
import { FrameScanner } from '../../src/protocol/scanner.ts';
import { classifier, isQuick } from './crowd.ts';
import { bind, copyData, copyDone, execute, parseText } from './frames.ts';
import { stepsOf, type Steps } from './steps.ts';
import { makeWorld, type WorldOptions } from './world.ts';

interface Talk {
  readonly says: readonly Buffer[];
  /** How many ReadyForQuery it brings. */
  readonly readies: number;
}

/**
 * `make(0)`, `make(1)` ... `make(count)`, under one Sync. The batch is begun with the first: what is gathered before that has a
 * bound.
 */
const batchOf =
  (make: (i: number) => readonly Buffer[]) =>
  (count: number): Talk => ({
    says: [...make(0), flush, ...times(count, (i) => make(i + 1)), sync],
    readies: 1,
  });
const times = (count: number, make: (i: number) => readonly Buffer[]): Buffer[] =>
  Array.from({ length: count }, (_, i) => make(i)).flat();

const inTransaction =
  (make: (i: number) => readonly Buffer[]) =>
  (count: number): Talk => ({
    says: [...run('', 'BEGIN'), flush, ...times(count, make), ...run('', 'COMMIT'), sync],
    readies: 1,
  });

const run = (name: string, sql: string): readonly Buffer[] => [
  parseText(name, sql),
  bind('', name),
  describeMessage('P', ''),
  execute(''),
];

const talks: Readonly<Record<string, (count: number) => Talk>> = {
  'unnamed statements of one text': batchOf(() => run('', "SELECT 'x'")),
  'unnamed writes': batchOf((i) => run('', `INSERT INTO users VALUES (${i})`)),
  'named statements of one text': batchOf((i) => run(`s${i}`, "SELECT 'x'")),
  'unnamed statements of many texts': batchOf((i) => run('', `SELECT 'x' AS c${i}`)),
  'named statements of many texts': batchOf((i) => run(`s${i}`, `SELECT 'x' AS c${i}`)),
  'statements that are closed at once': batchOf((i) => [...run(`s${i}`, "SELECT 'x'"), close('S', `s${i}`)]),
  'portals that stay': inTransaction((i) => [parseText('', "SELECT 'x'"), bind(`p${i}`, ''), execute(`p${i}`)]),
  'settings, one again and again': batchOf((i) => run('', `SET work_mem = ${1000 + i}`)),
  'settings that are told': batchOf((i) => run('', `SET application_name = 'x${i % 50}'`)),
  'settings of a transaction': inTransaction((i) => run('', `SET LOCAL work_mem = ${1000 + (i % 50)}`)),
  'settings and reads': batchOf((i) => [...run('', `SET work_mem = ${1000 + (i % 50)}`), ...run('', "SELECT 'x'")]),
  'savepoints, released': inTransaction((i) => [
    ...run('', 'SAVEPOINT s'),
    ...run('', `INSERT INTO users VALUES (${i})`),
    ...run('', 'RELEASE s'),
  ]),
  'savepoints, rolled back to': inTransaction((i) => [
    ...run('', 'SAVEPOINT s'),
    ...run('', `SET work_mem = ${1000 + (i % 50)}`),
    ...run('', 'ROLLBACK TO s'),
    ...run('', 'RELEASE s'),
  ]),
  'savepoints in savepoints': inTransaction((i) => [
    ...run('', `SAVEPOINT s${i}`),
    ...run('', `SET work_mem = ${1000 + (i % 50)}`),
  ]),
  'COPY FROM of a line each': batchOf(() => [
    ...run('', 'COPY users FROM STDIN'),
    copyData(Buffer.from('1\n')),
    copyDone,
  ]),
  'a COPY FROM of many pieces': (count) => ({
    says: [query('COPY users FROM STDIN'), ...times(count, () => [copyData(Buffer.from('1\n'))]), copyDone],
    readies: 1,
  }),
};

interface Place {
  readonly options: Omit<WorldOptions, 'classifier'>;
  /** What is said there. */
  readonly kinds: readonly string[];
}

const places: Readonly<Record<string, Place>> = {
  'transaction mode, with a cache': {
    options: { poolMode: 'transaction', withCache: true, poolSize: 1, maxPreparedStatements: 100 },
    kinds: Object.keys(talks),
  },
  'session mode': {
    options: { poolMode: 'session', poolSize: 1, maxPreparedStatements: 100 },
    kinds: ['unnamed writes', 'settings and reads', 'savepoints, rolled back to', 'COPY FROM of a line each'],
  },
};

/** Of each way of working one, for WEIR_FUZZ_DEPTH=quick: half as long would be too short to be counted. */
const quickKinds: ReadonlySet<string> = new Set(['unnamed writes', 'settings and reads', 'COPY FROM of a line each']);

/** The client says all of it at once, in chunks as a socket has them. */
async function hold({ says, readies }: Talk, options: Omit<WorldOptions, 'classifier'>): Promise<void> {
  // Whose turn is over is not to depend on how fast the machine is.
  let nowMs = 0;
  const world = makeWorld({ classifier, ...options, nowMs: () => nowMs++ });
  const socket = world.connect();
  let left = readies + 1;
  await new Promise<void>((resolve, reject) => {
    const scanner = new FrameScanner({
      frame(type) {
        if (type === Backend.ReadyForQuery && --left === 0) resolve();
        return true;
      },
      mayStream: () => false,
      begin: () => true,
      more: () => true,
    });
    socket.on('data', (chunk: Buffer) => scanner.push(chunk));
    socket.once('close', () => reject(new Error(`closed with ${left} answers to come`)));
    const bytes = Buffer.concat(says);
    for (let at = 0; at < bytes.length; at += 65_536) socket.write(bytes.subarray(at, at + 65_536));
  });
  socket.destroy();
  world.stop();
  expect(world.unexpected).toEqual([]);
}

test.each(['INSERT INTO users VALUES (1)', "SELECT 'x'"])(
  'while a long batch is worked on, others are served: %s',
  async (sql) => {
    // A machine on which each look at the clock finds it a millisecond later.
    let nowMs = 0;
    const world = makeWorld({ classifier, nowMs: () => nowMs++, poolSize: 2 });
    const [busy, other] = [world.connect(), world.connect()];
    let served = 0;
    let isAnswered = false;
    const count = 20_000;
    const end = readyForQuery('I');
    busy.on('data', (chunk: Buffer) => (isAnswered = chunk.subarray(-end.length).equals(end)));
    const greeted = new Promise((resolve) => busy.once('data', resolve));
    await greeted;
    isAnswered = false;
    other.on('data', () => {
      served++;
      other.write(query('INSERT INTO users VALUES (2)'));
    });
    await new Promise((resolve) => setImmediate(resolve));
    busy.write(Buffer.concat([flush, ...times(count, () => run('', sql)), sync]));
    const servedBefore = served;
    await until('the batch to be answered', () => isAnswered, { intervalMs: 1, timeoutMs: 120_000 });
    expect(served - servedBefore).toBeGreaterThan(200);
    busy.destroy();
    other.destroy();
    world.stop();
    expect(world.unexpected).toEqual([]);
  },
);

/** More than comes in two chunks: what is kept of them while something is waited for has a bound. */
const few = 1_600;
const times4 = 4;
/** What is done once in a while, or takes a while to come into its stride, is not counted. */
const slack = 500;

function tooMany(small: Steps, large: Steps): string[] {
  const found: string[] = [];
  for (const [what, count] of large) {
    const before = small.get(what) ?? 0;
    if (count > 1.3 * times4 * before + slack * times4) found.push(`${what}: ${before} -> ${count}`);
  }
  return found;
}

describe.each(Object.entries(places))('%s', (_name, { options, kinds }) => {
  const isSkipped = (kind: string): boolean => isQuick && !(quickKinds.has(kind) && options.poolMode === 'transaction');
  test.for(kinds)('%s', async (kind, { skip }) => {
    skip(isSkipped(kind), 'WEIR_FUZZ_DEPTH=quick');
    const talk = talks[kind] as (count: number) => Talk;
    await hold(talk(50), options);
    const small = await stepsOf(() => hold(talk(few), options));
    const large = await stepsOf(() => hold(talk(few * times4), options));
    expect(small.size).toBeGreaterThan(100);
    expect(tooMany(small, large)).toEqual([]);
  });
});
