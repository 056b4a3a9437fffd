/** What texts are: a corpus with expected facts, equal templates have equal facts, and nothing breaks the classifier. */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { loadModule, scanSync } from 'libpg-query';
import { beforeAll, describe, expect, test } from 'vitest';
import { createClassifier, unknownText } from '../../src/sql/classifier.ts';
import { extractStatements } from '../../src/sql/extract.ts';
import type { Classified, Classifier } from '../../src/sql/facts.ts';
import { loadParser } from '../../src/sql/parser.ts';
import type { SqlParser } from '../../src/sql/parser.ts';
import { Reading } from '../../src/sql/reading.ts';
import { summarize, summarizeAll } from './summary.ts';

let parser: SqlParser;
let classifier: Classifier;

beforeAll(async () => {
  await loadModule();
  parser = await loadParser();
  classifier = await createClassifier({ parser });
});

function classify(text: string): Classified {
  return classifier.classify(Buffer.from(text));
}

/** The facts without template or cache: straight from the tree of the text. undefined: not parsed. */
function directly(text: string): string | undefined {
  const { tree } = parser.parse(text);
  if (tree === undefined) return undefined;
  try {
    return extractStatements(tree, new Reading(false)).map(summarize).join(' | ') || 'empty:';
  } catch {
    return undefined;
  }
}

/** The template may count a constant as "now" that is not, never the other way; float(30) and float(50) are one to it. */
function expectSame(fromTemplate: string, fromText: string, text: string): void {
  const plain = (facts: string): string => facts.replace(/\bfloat[48]( float8)?\b/g, 'float');
  const timeless = (facts: string): string =>
    facts.replace(/; values CURRENT_TIMESTAMP(?= \||;|$)/g, '').replace(/ CURRENT_TIMESTAMP\b/g, '');
  if (fromText.includes('CURRENT_TIMESTAMP')) expect(fromTemplate, text).toContain('CURRENT_TIMESTAMP');
  expect(plain(timeless(fromTemplate)), text).toBe(plain(timeless(fromText)));
}

function readCorpus(): [text: string, facts: string][] {
  const lines = readFileSync(new URL('corpus.txt', import.meta.url), 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('# ') && line !== '#');
  const cases: [string, string][] = [];
  for (let i = 0; i < lines.length; i += 2) cases.push([lines[i] ?? '', (lines[i + 1] ?? '').trim()]);
  return cases;
}

const corpus = readCorpus();

describe('corpus', () => {
  test.each(corpus)('%s', (text, expected) => expect(summarizeAll(classify(text).facts)).toBe(expected));

  test('every statement means the same read from its template and by itself', () => {
    for (const [text, expected] of corpus) {
      const facts = directly(text);
      if (facts !== undefined) expect(facts, text).toBe(expected);
    }
  });

  test('white space and comments change nothing', () => {
    for (const [text, expected] of corpus) {
      if (classify(text).facts.unparsed !== undefined) continue;
      const bytes = Buffer.from(text);
      const tokens = scanSync(text).tokens.map(({ start, end }) => bytes.toString('utf8', start, end));
      // Without a space in between, N'x' and U&'x' are what they are.
      const spaced = tokens.reduce(
        (before, token) => `${before}${/\b(?:N|U&)$/i.test(before) ? '' : '\t/* ; */\n'}${token}`,
      );
      expect(summarizeAll(classify(`/* a */\n${spaced} -- b`).facts), text).toBe(expected);
    }
  });
});

describe('templates', () => {
  const constant = fc.constantFrom(
    ...['0', '1', '-7', '2.5', '99999999999', '.5', '1e9', "''", "'x'", "'off'", "'on'", "'it''s'", "'now'"],
    ...["'2 tomorrow'", "E'a\\nb'", "E'\\''", '$$z$$', "$q$ ' $$ $q$", '\'"a", b\'', "'a'\n'b'", "U&'\\0061'", "'1'"],
  );

  test('texts that differ in constants have the facts of their own', () => {
    const texts = corpus.map(([text]) => text).filter((text) => !/[^ -~]/.test(text) && directly(text) !== undefined);
    fc.assert(
      fc.property(fc.constantFrom(...texts), fc.array(constant, { minLength: 8, maxLength: 8 }), (text, constants) => {
        const changed = withConstants(text, constants);
        const facts = directly(changed);
        // The parser's JSON leaves empty texts out, so that a file named '' looks like STDOUT; the template knows better.
        if (facts === undefined || /^COPY .* (?:FROM|TO|PROGRAM) ''/s.test(changed)) return;
        const found = classify(changed).facts;
        expect(found.unparsed).toBeUndefined();
        expectSame(summarizeAll(found), facts, changed);
      }),
      { numRuns: 3_000 },
    );
  });

  /** `text` with its first constants replaced, one by one. */
  function withConstants(text: string, constants: readonly string[]): string {
    const bytes = Buffer.from(text);
    let changed = '';
    let end = 0;
    let next = 0;
    for (const token of scanSync(text).tokens) {
      if (!/^(?:ICONST|FCONST|SCONST)$/.test(token.tokenName) || next >= constants.length) continue;
      changed += bytes.toString('utf8', end, token.start) + (constants[next++] ?? '');
      end = token.end;
    }
    return changed + bytes.toString('utf8', end);
  }

  test('one object per template, whatever the constants, comments and white space', () => {
    const { facts } = classify("SELECT * FROM t WHERE a = 1 AND b = 'x' -- c");
    expect(classify("SELECT  *\nFROM t WHERE a = 2 AND b = 'y''s' /* d */").facts).toBe(facts);
    expect(classify("/* weir: route=primary */ SELECT * FROM t WHERE a = 3 AND b = E'z'").facts).toBe(facts);
    expect(facts.template).toBe('SELECT * FROM t WHERE a = ? AND b = ?');
    expect(classify('SELECT * FROM "T" WHERE a = 1').facts).not.toBe(classify('SELECT * FROM T WHERE a = 1').facts);
  });

  test('the template of a text that is read by itself still holds no constants', () => {
    const { facts } = classify("SET app.secret = 'hunter2'");
    expect(facts.template).toBe('SET app.secret = ?');
    expect(facts.statements[0]?.settings[0]?.plain).toBe('hunter2');
    expect(classify("SET app.secret = 'other'").facts).not.toBe(facts);
    expect(classify("SET app.secret /* x */ = 'hunter2'").facts.statements).toEqual(facts.statements);
    expect(classify("SET app.secret = 'hunter2'").facts).toBe(facts);
  });

  test('a wrong text does not speak for the right ones of its template', () => {
    expect(classify("SELECT E'\\xzz' FROM t").facts.statements[0]?.kind).toBe('select');
    expect(classify("SELECT U&'\\zz' FROM t").facts.unparsed).toBeDefined();
    expect(classify("SELECT U&'\\0061' FROM t").facts.unparsed).toBeUndefined();
    expect(classify('SELECT x::float(99) FROM t').facts.unparsed).toBeUndefined();
  });

  test('a template is at most 2,000 characters long', () => {
    const { facts } = classify(`SELECT ${Array.from({ length: 500 }, (_, i) => `column_${i}`).join()} FROM t`);
    expect(facts.unparsed).toBeUndefined();
    expect(facts.template).toHaveLength(2000);
  });
});

describe('what is too much', () => {
  function kindsOf(text: string): string[] {
    return classify(text).facts.statements.map(({ kind }) => kind);
  }

  test('long constants and long lists of them do not make a text long', () => {
    const rows = Array.from({ length: 5_000 }, (_, i) => `(${i}, 'row ${i}', NULL)`).join(', ');
    expect(summarizeAll(classify(`INSERT INTO app.t (a, b, c) VALUES ${rows}`).facts)).toBe(
      'insert: INSERT; writes app.t',
    );
    const params = Array.from({ length: 10_000 }, (_, i) => `$${i + 1}`).join(', ');
    expect(summarizeAll(classify(`INSERT INTO t VALUES (${params})`).facts)).toBe('insert: INSERT; writes t');
    expect(summarizeAll(classify(`SELECT * FROM t WHERE a IN (${params})`).facts)).toBe('select: SELECT; reads t');
    expect(summarizeAll(classify(`UPDATE t SET a = '${'x'.repeat(200_000)}'`).facts)).toBe('update: UPDATE; writes t');
  });

  test('what stays long is unknown, with its first keyword and a reason', () => {
    const long = classify(`SELECT ${'a + '.repeat(10_000)}1`).facts;
    expect(long.statements).toHaveLength(1);
    expect(long.statements[0]).toMatchObject({ kind: 'unknown', verb: 'SELECT' });
    expect(long.unparsed).toMatch(/longer than/);
    const calls = Array.from({ length: 5_000 }, (_, i) => `(${i}, f(${i}))`).join(', ');
    expect(classify(`INSERT INTO t VALUES ${calls}`).facts.statements[0]?.verb).toBe('INSERT');
    expect(classify(`SET x = '${'y'.repeat(20_000)}'`).facts.statements[0]).toMatchObject({
      kind: 'unknown',
      verb: 'SET',
    });
  });

  test('signs without end are unknown, and not shown to the parser, which takes seconds over them', () => {
    for (const signs of ['+-', '+', '-+']) {
      const facts = classify(`SELECT 1 ${signs.repeat(2_000)}1`).facts;
      expect(facts.statements).toMatchObject([{ kind: 'unknown', verb: 'SELECT' }]);
      expect(facts.unparsed).toMatch(/operator/);
    }
    expect(classify(`SELECT '${'+-'.repeat(2_000)}'`).facts.unparsed).toBeUndefined();
  });

  test('megabytes are not kept', () => {
    const before = classify(`SELECT '${'x'.repeat(5_000_000)}'`).facts;
    expect(before.statements[0]).toMatchObject({ kind: 'unknown', verb: 'SELECT' });
    expect(classify(`SELECT '${'y'.repeat(6_000_000)}'`).facts).toBe(before);
    expect(classify('/*'.repeat(2_500_000)).facts.unparsed).toBeDefined();
    expect(classify('('.repeat(5_000_000)).facts.unparsed).toBeDefined();
  });

  test.each([
    ['brackets', (n: number) => `SELECT ${'('.repeat(n)}1${')'.repeat(n)}`],
    ['subqueries', (n: number) => `SELECT ${'(SELECT '.repeat(n)}1${')'.repeat(n)}`],
    ['calls', (n: number) => `SELECT ${'f('.repeat(n)}1${')'.repeat(n)}`],
    ['arrays', (n: number) => `SELECT ${'ARRAY['.repeat(n)}1${']'.repeat(n)}`],
    ['NOT', (n: number) => `SELECT ${'NOT '.repeat(n)}true`],
    ['CASE', (n: number) => `SELECT ${'CASE WHEN '.repeat(n)}true${' THEN 1 END'.repeat(n)}`],
    ['sums', (n: number) => `SELECT 1${'+1'.repeat(n)}`],
    ['unions', (n: number) => `SELECT 1${' UNION SELECT 1'.repeat(n)}`],
    ['comments', (n: number) => `SELECT ${'/*'.repeat(n)} ${'*/'.repeat(n)} 1`],
    ['casts', (n: number) => `SELECT 1${'::int'.repeat(n)}`],
    ['subscripts', (n: number) => `SELECT a${'[1]'.repeat(n)}`],
    ['statements', (n: number) => 'SELECT 1;'.repeat(n)],
    ['WITH', (n: number) => `${'WITH a AS ('.repeat(n)}SELECT 1${') SELECT 1'.repeat(n)}`],
  ])('nested or repeated %s neither throw nor break what follows', (_name, bomb) => {
    for (const n of [50, 500, 900, 5_000, 40_000]) {
      const { facts } = classify(bomb(n));
      expect(facts.statements.length).toBeGreaterThan(0);
      for (const { kind } of facts.statements) expect(['select', 'unknown']).toContain(kind);
    }
    expect(summarizeAll(classify(`SELECT * FROM after_${_name}`).facts)).toContain('reads after_');
  });

  test('bytes that are no text', () => {
    const of = (bytes: Buffer): Classified => classifier.classify(bytes);
    expect(of(Buffer.from([0x53, 0x45, 0x4c, 0xff, 0xfe])).facts.statements[0]?.kind).toBe('unknown');
    expect(of(Buffer.from('SELECT 1\0; DELETE FROM t')).facts.unparsed).toMatch(/UTF-8/);
    expect(of(Buffer.from("SELECT '\xe9'", 'latin1')).facts.unparsed).toMatch(/UTF-8/);
    expect(of(Buffer.alloc(0)).facts.statements.map(({ kind }) => kind)).toEqual(['empty']);
    expect(kindsOf('SELECT 1 \x02 2')).toEqual(['unknown']);
  });

  test('garbage never throws and never passes for a statement it is not', () => {
    const word = fc.constantFrom(
      ...[
        'SELECT',
        'FROM',
        'a',
        'b',
        ',',
        '(',
        ')',
        "'x'",
        '1',
        '$1',
        '"q"',
        ';',
        '--',
        '\n',
        '/*',
        '*/',
        "E'\\''",
        '$$',
      ],
      ...[
        'DELETE',
        'WITH',
        'AS',
        'UPDATE',
        'SET',
        '=',
        'x',
        'INTO',
        'FOR',
        'IN',
        'VALUES',
        'set_config',
        '.',
        '::',
        'now()',
      ],
      ...['COPY', 'TO', 'PROGRAM', 'EXPLAIN', 'ANALYZE', 'BEGIN', 'COMMIT', 'LISTEN', 'TEMP', 'TABLE', 'CREATE', '*'],
    );
    const text = fc.oneof(
      fc.array(word, { maxLength: 20 }).map((words) => words.join(' ')),
      fc.string({ unit: 'binary' }),
    );
    fc.assert(
      fc.property(text, (sql) => {
        const { facts } = classify(sql);
        const expected = directly(sql);
        if (facts.unparsed !== undefined || expected === undefined) return;
        expectSame(summarizeAll(facts), expected, sql);
      }),
      { numRuns: 5_000 },
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        expect(classifier.classify(Buffer.from(bytes)).facts.statements.length).toBeGreaterThan(0);
      }),
      { numRuns: 2_000 },
    );
  });
});

test('two classifiers share nothing but what they are given', async () => {
  const other = await createClassifier({ parser, maxTemplates: 2, maxTexts: 2 });
  const first = other.classify(Buffer.from('SELECT 1 FROM a')).facts;
  for (let i = 0; i < 10; i++) other.classify(Buffer.from(`SELECT 1 FROM t${i}`));
  expect(other.classify(Buffer.from('SELECT 1 FROM a')).facts).toEqual(first);
  expect(other.classify(Buffer.from('SELECT 1 FROM a')).facts).not.toBe(first);
  expect(classify('SELECT 1 FROM a').facts).not.toBe(first);
});

test('hints come with the text and leave its facts alone', () => {
  const plain = classify('SELECT * FROM t WHERE a = 1');
  expect(plain.hints).toBeUndefined();
  const hinted = classify('/* weir: route=replica cache=30s tags=user:42,users */ SELECT * FROM t WHERE a = 2');
  expect(hinted.facts).toBe(plain.facts);
  expect(hinted.hints).toEqual({
    route: 'replica',
    consistency: undefined,
    cache: 30_000,
    tags: ['user:42', 'users'],
    problem: undefined,
  });
  expect(classify('SELECT /* weir: route=primary */ 1').hints).toBeUndefined();
  expect(classify("SELECT 1 /* traceparent='00-1' */").hints).toBeUndefined();
  expect(classify('SELECT 1; -- weir: route=primary').hints?.route).toBe('primary');
});

test('a text that is not to be looked into is unknown, with its first keyword', () => {
  const { facts, hints } = unknownText(Buffer.from("/* a */ select 'x\\', 'y'"), 'strings are not standard');
  expect(summarizeAll(facts)).toBe('unknown: SELECT');
  expect([facts.unparsed, facts.template, hints]).toEqual(['strings are not standard', 'SELECT', undefined]);
});
