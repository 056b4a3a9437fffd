/** The door to libpg-query: the same trees as the package's own, and an instance that was cut short is never used again. */
import createModule from 'libpg-query/wasm/libpg-query.js';
import { loadModule, parseSync } from 'libpg-query';
import { expect, test, vi } from 'vitest';
import { createClassifier } from '../../src/sql/classifier.ts';
import { loadParser } from '../../src/sql/parser.ts';

test('trees and errors are those of the package', async () => {
  await loadModule();
  const parser = await loadParser();
  for (const text of ['SELECT 1', ' ', "SELECT 'ünïcödé 🐘'", 'INSERT INTO a VALUES (1); COMMIT']) {
    expect(parser.parse(text)).toEqual({ tree: parseSync(text), problem: undefined });
  }
  expect(parser.parse('SELEC')).toEqual({ tree: undefined, problem: 'syntax error at or near "SELEC"' });
  expect(parser.parse('SELECT')).toMatchObject({ problem: undefined });
});

type Instance = Awaited<ReturnType<typeof createModule>>;

/** Instances of which the first breaks on its second parse. */
function breaking(): { create: () => Promise<Instance>; created: () => number } {
  let created = 0;
  return {
    created: () => created,
    async create() {
      const instance = await createModule();
      if (created++ > 0) return instance;
      let runs = 0;
      return {
        ...instance,
        _wasm_parse_query_raw(query: number) {
          if (++runs === 2) throw new RangeError('memory access out of bounds');
          return instance._wasm_parse_query_raw(query);
        },
      };
    },
  };
}

test('an instance that broke is replaced, and until then everything is unknown', async () => {
  const { create, created } = breaking();
  const parser = await loadParser(create);
  const classifier = await createClassifier({ parser });
  const kind = (text: string): string | undefined => classifier.classify(Buffer.from(text)).facts.statements[0]?.kind;
  expect(kind('SELECT 1 FROM a')).toBe('select');
  expect(kind('SELECT 1 FROM b')).toBe('unknown');
  expect(parser.isReady).toBe(false);
  expect(kind('SELECT 1 FROM c')).toBe('unknown');
  expect(kind('SELECT 1 FROM a')).toBe('select');
  expect(parser.parse('SELECT 1').problem).toMatch(/loaded again/);
  await vi.waitFor(() => expect(parser.isReady).toBe(true));
  expect(created()).toBe(2);
  expect(kind('SELECT 1 FROM c')).toBe('select');
  expect(kind('SELECT 1 FROM b')).toBe('select');
});

test('a parser that cannot be loaded again leaves everything unknown', async () => {
  const { create } = breaking();
  let isFirst = true;
  const parser = await loadParser(() => {
    if (!isFirst) return Promise.reject(new Error('no memory'));
    isFirst = false;
    return create();
  });
  const classifier = await createClassifier({ parser });
  classifier.classify(Buffer.from('SELECT 1'));
  classifier.classify(Buffer.from('SELECT 2 FROM b'));
  await new Promise((resolve) => setImmediate(resolve));
  expect(parser.isReady).toBe(false);
  expect(classifier.classify(Buffer.from('SELECT 3 FROM c')).facts.unparsed).toMatch(/loaded again/);
});

test('a stack that runs out in the parser breaks nothing for the next statement', async () => {
  const parser = await loadParser();
  const bomb = `SELECT ${'(SELECT '.repeat(1500)}1${')'.repeat(1500)}`;
  const atDepth = (depth: number): void => {
    if (depth > 0) atDepth(depth - 1);
    else parser.parse(bomb);
  };
  for (let depth = 2_000; depth < 14_000; depth += 400) {
    try {
      atDepth(depth);
    } catch {
      // the test's own stack ran out before the parser was called
    }
    await vi.waitFor(() => expect(parser.isReady).toBe(true));
    expect(parser.parse('SELECT 1').problem).toBeUndefined();
  }
});
