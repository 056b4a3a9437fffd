/**
 * Counts what the code of src/ does, not how long it takes: how often each block of it runs (V8's precise coverage), and how
 * many elements the built-in functions that walk something have to walk.
 */
import { Session } from 'node:inspector';
import type { Profiler } from 'node:inspector';
import { setFlagsFromString } from 'node:v8';

// Optimized code does not count its calls, and when it takes over is a matter of chance.
for (const flag of ['--no-turbofan', '--no-maglev']) setFlagsFromString(flag);

/** By place in the code or name of the built-in: how often, or how many elements. */
export type Steps = ReadonlyMap<string, number>;

type Method = (this: unknown, ...values: unknown[]) => unknown;

const lengthOf = (one: unknown): number => (one as { length: number }).length;
const sizeOf = (one: unknown): number => (one as { size: number }).size;

/** Built-ins whose work grows with what they are called on. */
const walkers: readonly (readonly [owner: object, name: string, names: readonly PropertyKey[], of: typeof lengthOf])[] =
  [
    [
      Array.prototype,
      'Array',
      [
        ...['includes', 'indexOf', 'lastIndexOf', 'find', 'findIndex', 'findLast', 'findLastIndex', 'some', 'every'],
        ...['filter', 'map', 'flatMap', 'reduce', 'forEach', 'slice', 'splice', 'concat', 'join', 'sort', 'unshift'],
        Symbol.iterator,
      ],
      lengthOf,
    ],
    [String.prototype, 'String', ['includes', 'indexOf', 'lastIndexOf', 'split', 'replace', 'replaceAll'], lengthOf],
    [Set.prototype, 'Set', [Symbol.iterator, 'values', 'forEach'], sizeOf],
    [Map.prototype, 'Map', [Symbol.iterator, 'entries', 'forEach'], sizeOf],
  ];

/** What `work` takes. Not for two at the same time. */
export async function stepsOf(work: () => Promise<void>): Promise<Steps> {
  const steps = new Map<string, number>();
  const restore = countWalks(steps);
  const session = new Session();
  session.connect();
  try {
    session.post('Profiler.enable');
    session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
    await work();
    session.post('Profiler.takePreciseCoverage', (error, { result }) => {
      if (error === null) countBlocks(result, steps);
    });
  } finally {
    session.disconnect();
    restore();
  }
  return steps;
}

function countBlocks(scripts: readonly Profiler.ScriptCoverage[], steps: Map<string, number>): void {
  for (const { url, functions } of scripts) {
    const file = /\/src\/(.*)$/.exec(url)?.[1];
    if (file === undefined) continue;
    for (const { functionName, ranges } of functions) {
      for (const { startOffset, count } of ranges) steps.set(`${file} ${functionName} @${startOffset}`, count);
    }
  }
}

function countWalks(steps: Map<string, number>): () => void {
  const undo: (() => void)[] = [];
  const replace = (owner: object, key: PropertyKey, make: (before: Method) => Method): void => {
    const before = Object.getOwnPropertyDescriptor(owner, key) as PropertyDescriptor;
    Object.defineProperty(owner, key, { ...before, value: make(before.value as Method) });
    undo.push(() => Object.defineProperty(owner, key, before));
  };
  const add = (name: string, count: number): void => void steps.set(name, (steps.get(name) ?? 0) + count);
  for (const [owner, name, keys, of] of walkers) {
    for (const key of keys) {
      const label = `${name}.prototype.${String(key)}`;
      replace(
        owner,
        key,
        (before) =>
          function (this: unknown, ...values: unknown[]) {
            add(label, of(this));
            return before.apply(this, values);
          },
      );
    }
  }
  replace(
    RegExp.prototype,
    'exec',
    (before) =>
      function (this: unknown, ...values: unknown[]) {
        add('RegExp.prototype.exec', String(values[0]).length);
        return before.apply(this, values);
      },
  );
  replace(
    RegExp.prototype,
    'test',
    (before) =>
      function (this: unknown, ...values: unknown[]) {
        add('RegExp.prototype.test', String(values[0]).length);
        return before.apply(this, values);
      },
  );
  replace(
    Buffer,
    'concat',
    (before) =>
      function (this: unknown, ...values: unknown[]) {
        const bytes = before.apply(this, values) as Buffer;
        add('Buffer.concat', bytes.length);
        return bytes;
      },
  );
  return () => {
    for (const one of undo.reverse()) one();
  };
}
