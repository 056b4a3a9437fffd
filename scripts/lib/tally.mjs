// Counts what passed, failed and was skipped, over checks (types, lint) and vitest runs, and says it at the end in the
// one line that people and CI look for.
import { existsSync, readFileSync } from 'node:fs';
import { stripVTControlCharacters } from 'node:util';
import { root, say } from './shell.mjs';

export class Tally {
  passed = 0;
  failed = 0;
  skipped = 0;
  #lines = [];

  /** A check that is one thing. @param {string} name @param {boolean} isGood @param {string} [why] */
  check(name, isGood, why = '') {
    if (isGood) this.passed++;
    else this.failed++;
    this.#lines.push(`${isGood ? 'ok    ' : 'FAILED'} ${name}${isGood || why === '' ? '' : `: ${why}`}`);
  }

  /**
   * A vitest run, from its JSON report and exit code. A file that could not be loaded, an error outside of any test and
   * a run without any test are failures, too.
   * @param {string} name
   * @param {string} report path of the file
   * @param {number} exitCode
   */
  vitest(name, report, exitCode) {
    if (!existsSync(report)) return this.check(name, false, `vitest ended with ${exitCode} and wrote no report`);
    const { testResults } = JSON.parse(readFileSync(report, 'utf8'));
    const count = { passed: 0, failed: 0, skipped: 0 };
    const failures = [];
    const skips = new Map();
    for (const { name: file, status, assertionResults, message } of testResults) {
      for (const test of assertionResults) {
        if (test.status === 'passed') count.passed++;
        else if (test.status === 'failed') count.failed++;
        else {
          count.skipped++;
          const group = `${short(file)}: ${test.ancestorTitles?.[0] ?? test.fullName}`;
          skips.set(group, (skips.get(group) ?? 0) + 1);
        }
        if (test.status === 'failed') failures.push(`${short(file)}: ${test.fullName}`, ...whyOf(test));
      }
      if (status === 'failed' && assertionResults.every((test) => test.status !== 'failed')) {
        count.failed++;
        failures.push(`${short(file)}: ${message?.split('\n')[0] ?? 'could not be run'}`);
      }
    }
    if (exitCode !== 0 && count.failed === 0) {
      count.failed++;
      failures.push(`vitest ended with ${exitCode}: an error outside of any test, see above`);
    }
    if (count.passed + count.failed === 0) {
      count.failed++;
      failures.push('no test was executed');
    }
    this.passed += count.passed;
    this.failed += count.failed;
    this.skipped += count.skipped;
    const state = count.failed === 0 ? 'ok    ' : 'FAILED';
    this.#lines.push(`${state} ${name}: ${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped`);
    for (const failure of failures) this.#lines.push(`         ${failure}`);
    for (const [group, tests] of skips) this.#lines.push(`       skipped ${group} (${tests})`);
    const longest = longestOf(testResults);
    if (longest !== '') this.#lines.push(`       longest: ${longest}`);
  }

  /** Says beside the results why tests were skipped. @param {string} why */
  note(why) {
    this.#lines.push(`note   ${why}`);
  }

  /** What happened, and the closing line. */
  summary() {
    if (this.passed + this.failed === 0) this.check('anything', false, 'nothing was executed');
    const skipped = this.skipped > 0 ? `, ${this.skipped} skipped` : '';
    return `\n${this.#lines.join('\n')}\n\n${this.passed} passed, ${this.failed} failed${skipped}`;
  }

  /** Prints the summary. @returns {number} the exit code */
  finish() {
    say(this.summary());
    return this.failed === 0 ? 0 : 1;
  }
}

/** The five files that took longest, with seconds. A report without times has none. */
function longestOf(testResults) {
  return testResults
    .map(({ name, startTime, endTime }) => ({ name, seconds: Math.round((endTime - startTime) / 1000) }))
    .filter(({ seconds }) => seconds >= 1)
    .sort((a, b) => b.seconds - a.seconds)
    .slice(0, 5)
    .map(({ name, seconds }) => `${short(name)} ${seconds} s`)
    .join(', ');
}

/** The beginning of what a failed test said: of a long output, often only the end is kept. A line each, at most four. */
function whyOf({ failureMessages = [] }) {
  return failureMessages
    .flatMap((message) => stripVTControlCharacters(message).split('\n'))
    .filter((line) => line.trim() !== '')
    .slice(0, 4)
    .map((line) => `  ${line.trim().replace(`${root}/`, '').slice(0, 300)}`);
}

const short = (file) => file.replace(`${root}/`, '');
