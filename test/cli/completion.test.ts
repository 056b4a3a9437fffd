/**
 * `weir completion` in the shells themselves (bash, zsh and fish, where they are installed), and the manual page: what they
 * offer is what the table of verbs has.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { manPage } from '../../src/cli/man-page.ts';
import { verbsOf } from '../../src/cli/run.ts';
import { choicesOf, wordsOf } from '../../src/cli/words.ts';
import { fakeProcess, runInMemory } from './run-in-memory.ts';

const root = join(import.meta.dirname, '../..');
const verbs = verbsOf([], { loadApp: () => Promise.reject(new Error('nothing is served')), events: fakeProcess() });
const names = wordsOf(verbs).map(({ name }) => name);
const isThere = (program: string): boolean => spawnSync(program, ['--version']).status === 0;
const missing = (program: string): string => (isThere(program) ? '' : ` (skipped: ${program} is not installed)`);

let dir: string;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'weir-completion-'));
  for (const shell of ['bash', 'zsh', 'fish'])
    writeFileSync(join(dir, shell), (await runInMemory(['completion', shell])).out);
  writeFileSync(join(dir, 'weir.yaml'), '');
  writeFileSync(join(dir, 'with space.yaml'), '');
});
afterAll(() => rmSync(dir, { recursive: true }));

describe('the words of the table', () => {
  it('has the verbs for people, and those that run.ts answers itself', () => {
    expect(names).toEqual(expect.arrayContaining(['serve', 'pools', 'completion', 'help', 'version']));
    expect(names).not.toContain('worker');
    expect(names).not.toContain('successor');
    expect(names).not.toContain('daemon');
  });

  it('takes words in lower case from a synopsis, not options and their values', () => {
    expect(choicesOf('(add DATABASE URL [--weight N] [--zone ZONE] | remove DATABASE NAME)')).toEqual([
      'add',
      'remove',
    ]);
    expect(choicesOf('("SQL" [--database NAME] | --pool DATABASE[.USER])')).toEqual([]);
    expect(choicesOf('bash|zsh|fish')).toEqual(['bash', 'zsh', 'fish']);
  });
});

describe('weir completion', () => {
  it('names the shells that it knows', async () => {
    for (const args of [['csh'], [], ['bash', 'zsh'], ['toString']]) {
      const { code, out, err } = await runInMemory(['completion', ...args]);
      expect([code, out]).toEqual([2, '']);
      expect(err).toContain('usage: weir completion bash|zsh|fish');
    }
  });
});

/** What bash offers for the words of a command line, the last of which is being written. */
function inBash(...words: string[]): string[] {
  const script = `source "$1"; cd "$2"; shift 2; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _weir; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const args = ['--norc', '-c', script, 'bash', join(dir, 'bash'), dir, 'weir', ...words];
  return execFileSync('bash', args, { encoding: 'utf8' }).split('\n').filter(Boolean).sort();
}

describe.skipIf(!isThere('bash'))(`in bash${missing('bash')}`, () => {
  it('completes commands, options, fixed words and files', () => {
    expect(inBash('')).toEqual([...names].sort());
    expect(inBash('re')).toEqual(['reload', 'resize', 'restart', 'resume']);
    expect(inBash('resize', 'shop', '--m')).toEqual(['--max', '--min']);
    expect(inBash('node', '')).toEqual(['add', 'remove']);
    expect(inBash('node', 'add', '')).toEqual([]);
    expect(inBash('help', 'ser')).toEqual(['serve', 'servers']);
    expect(inBash('serve', '--config', '')).toEqual(expect.arrayContaining(['weir.yaml', 'with space.yaml']));
    expect(inBash('serve', '--config', '=', 'w')).toEqual(['weir.yaml', 'with space.yaml']);
    expect(inBash('serve', '--primary', '')).toEqual([]);
    expect(inBash('nonsense', '')).toEqual([]);
  });

  it('offers every option of every command', () => {
    for (const { name, options } of wordsOf(verbs)) {
      const flags = options.flatMap((option) => option.flags);
      expect([name, inBash(name, '-')]).toEqual([name, ['--help', ...flags].sort()]);
    }
  });
});

function inFish(line: string): string[] {
  const script = 'source $argv[1]; cd $argv[2]; complete -C $argv[3]';
  const env = { ...process.env, HOME: dir, XDG_CONFIG_HOME: dir, XDG_DATA_HOME: dir };
  const args = ['--no-config', '-c', script, join(dir, 'fish'), dir, line];
  const lines = execFileSync('fish', args, { encoding: 'utf8', env }).split('\n').filter(Boolean);
  return lines.map((text) => text.split('\t')[0] ?? '').sort();
}

describe.skipIf(!isThere('fish'))(`in fish${missing('fish')}`, () => {
  it('completes commands, options, fixed words and files', () => {
    expect(inFish('weir ')).toEqual([...names].sort());
    expect(inFish('weir resize shop --m')).toEqual(['--max', '--min']);
    expect(inFish('weir node ')).toEqual(['add', 'remove']);
    expect(inFish('weir node add ')).toEqual([]);
    expect(inFish('weir serve --config weir')).toEqual(['weir.yaml']);
    expect(inFish('weir serve --primary ')).toEqual([]);
  });

  it('offers every option of every command', () => {
    for (const { name, options } of wordsOf(verbs)) {
      const long = options.map(({ flags }) => flags[0] ?? '');
      expect([name, inFish(`weir ${name} --`)]).toEqual([name, ['--help', ...long].sort()]);
    }
  });
});

/** What the line has become after a tab, in a zsh on a pseudo-terminal. */
function inZsh(...lines: string[]): string[] {
  const script = `
    zmodload zsh/zpty
    zpty shell 'exec zsh -f -i'
    zpty -w shell "PS1=; unsetopt prompt_cr prompt_sp; autoload -Uz compinit; compinit -u -D; source ${dir}/zsh; cd ${dir}"
    # A key that prints the line: what is before it has been completed by then.
    zpty -w shell 'say() { print -r -- "<$BUFFER>"; BUFFER= }; zle -N say; bindkey "^G" say; setopt no_beep no_auto_menu; print ready-$((1+1))'
    zpty -r -m shell out '*ready-2*'
    for line in "$@"; do
      zpty -n -w shell "$line"$'\\t\\a'
      zpty -r -m shell out '*<*>*'
      print -r -- "\${\${out##*<}%%>*}"
    done
    zpty -d shell
  `;
  const run = spawnSync('zsh', ['-f', '-c', script, 'zsh', ...lines], { encoding: 'utf8', timeout: 120_000 });
  return run.stdout.split('\n').slice(0, -1);
}

describe.skipIf(!isThere('zsh'))(`in zsh${missing('zsh')}`, () => {
  it('completes commands, options, fixed words and files', () => {
    const lines = [
      'weir comp',
      'weir resize shop --no',
      'weir node rem',
      'weir serve --config wei',
      'weir serve -c wei',
    ];
    expect(inZsh(...lines).map((line) => line.trimEnd())).toEqual([
      'weir completion',
      'weir resize shop --node',
      'weir node remove',
      'weir serve --config weir.yaml',
      'weir serve -c weir.yaml',
    ]);
  });

  it('offers every option of every command', () => {
    const lines = wordsOf(verbs).flatMap(({ name, options }) => options.map(({ flags }) => `weir ${name} ${flags[0]}`));
    // `--table` and `--tag` differ in their last letters.
    const completed = inZsh(...lines.map((line) => (line.endsWith('--tag') ? line : line.slice(0, -1))));
    expect(completed.map((line) => line.trimEnd())).toEqual(lines);
  });
});

describe('man/weir.1', () => {
  it('is up to date (npm run docs)', () => {
    expect(readFileSync(join(root, 'man/weir.1'), 'utf8')).toBe(manPage(verbs));
  });

  it.skipIf(!isThere('groff'))(`is read by groff without a warning${missing('groff')}`, () => {
    const { stdout, stderr } = spawnSync('groff', ['-man', '-Tutf8', '-ww', 'man/weir.1'], {
      cwd: root,
      encoding: 'utf8',
    });
    expect(stderr).toBe('');
    // Bold letters are printed twice, one over the other, or with escapes of the terminal.
    const text = stdout.replace(/.\u0008|\u001b\[\d*m/g, '').replace(/\s+/g, ' ');
    for (const { name, verb } of wordsOf(verbs)) expect(text).toContain(`weir ${name} ${verb.synopsis}`.trimEnd());
    expect(text).toContain('WEIR_ADMIN_URL');
  });
});
