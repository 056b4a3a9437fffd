/** The closing line of `npm test` is what CI believes: nothing that failed, or did not run, may count as passed. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { Tally } from '../../scripts/lib/tally.mjs';

const dir = mkdtempSync(join(tmpdir(), 'weir-tally-'));
afterAll(() => rmSync(dir, { recursive: true }));

interface FileResult {
  readonly status: 'passed' | 'failed';
  readonly tests?: readonly ('passed' | 'failed' | 'skipped' | 'todo')[];
  readonly message?: string;
  /** s; absent: the report does not say. */
  readonly took?: number;
}

/** A report as vitest's JSON reporter writes it, as far as it is read. */
function tallyOf(files: readonly FileResult[], exitCode: number): Tally {
  const testResults = files.map(({ status, tests = [], message = '', took }, i) => ({
    name: `file${i}.test.ts`,
    status,
    message,
    ...(took === undefined ? {} : { startTime: 5_000, endTime: 5_000 + 1_000 * took }),
    assertionResults: tests.map((state, n) => ({
      status: state,
      fullName: `test ${n}`,
      failureMessages:
        state === 'failed'
          ? ['\x1b[31mAssertionError\x1b[39m: expected 1 to be 2\n\n    at x.ts:3\n    at y\n    at z\n    at w']
          : [],
    })),
  }));
  const file = join(dir, 'report.json');
  writeFileSync(file, JSON.stringify({ testResults }));
  const tally = new Tally();
  tally.vitest('unit tests', file, exitCode);
  return tally;
}

const lastLine = (tally: Tally): string | undefined => tally.summary().split('\n').at(-1);

describe('the closing line', () => {
  test('counts checks and tests', () => {
    const tally = tallyOf([{ status: 'passed', tests: ['passed', 'passed'] }], 0);
    tally.check('types', true);
    tally.check('lint', false, 'one error');
    expect(lastLine(tally)).toBe('3 passed, 1 failed');
    expect(tally.summary()).toContain('FAILED lint: one error');
  });

  test('says what was skipped', () => {
    expect(lastLine(tallyOf([{ status: 'passed', tests: ['passed', 'skipped', 'todo'] }], 0))).toBe(
      '1 passed, 0 failed, 2 skipped',
    );
  });

  test('is preceded by what was skipped, and why', () => {
    const tally = tallyOf([{ status: 'passed', tests: ['passed', 'skipped'] }], 0);
    tally.note('there is no psql');
    expect(tally.summary()).toContain('skipped file0.test.ts: test 1 (1)');
    expect(tally.summary()).toContain('there is no psql');
  });
});

test('the five files that took longest are named, the longest first', () => {
  const files = [3, 9, 0.4, 12, 1, 7, 5].map((took): FileResult => ({ status: 'passed', tests: ['passed'], took }));
  const longest = [
    'file3.test.ts 12 s',
    'file1.test.ts 9 s',
    'file5.test.ts 7 s',
    'file6.test.ts 5 s',
    'file0.test.ts 3 s',
  ];
  expect(tallyOf(files, 0).summary()).toContain(`longest: ${longest.join(', ')}\n`);
  expect(tallyOf([{ status: 'passed', tests: ['passed'] }], 0).summary()).not.toContain('longest');
});

describe('counts as failed', () => {
  test('a failed test, by name, with the beginning of what it said', () => {
    const tally = tallyOf([{ status: 'failed', tests: ['passed', 'failed'] }], 1);
    expect(lastLine(tally)).toBe('1 passed, 1 failed');
    expect(tally.summary()).toContain('file0.test.ts: test 1\n           AssertionError: expected 1 to be 2\n');
    expect(tally.summary()).not.toContain('at w');
  });

  test('a file that could not be loaded', () => {
    const files: FileResult[] = [
      { status: 'passed', tests: ['passed'] },
      { status: 'failed', message: 'Cannot find module\nat x' },
    ];
    const tally = tallyOf(files, 1);
    expect(lastLine(tally)).toBe('1 passed, 1 failed');
    expect(tally.summary()).toContain('file1.test.ts: Cannot find module');
  });

  test('an error outside of any test', () => {
    expect(lastLine(tallyOf([{ status: 'passed', tests: ['passed'] }], 1))).toBe('1 passed, 1 failed');
  });

  test.each([
    ['no file', []],
    ['only skipped tests', [{ status: 'passed', tests: ['skipped'] }]],
  ] as const)('a run without any test: %s', (_, files) => {
    expect(tallyOf(files, 0).failed).toBe(1);
  });

  test('a run without a report', () => {
    const tally = new Tally();
    tally.vitest('unit tests', join(dir, 'none.json'), 0);
    expect(tally.failed).toBe(1);
  });

  test('nothing at all', () => {
    expect(lastLine(new Tally())).toBe('0 passed, 1 failed');
  });
});
