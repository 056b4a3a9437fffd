/**
 * What completion.ts, man-page.ts and help.ts read out of the table of verbs: those for people, their options, and the words that may
 * stand behind them.
 */
import type { OptionSpec, Verb } from './arguments.ts';

export type Verbs = ReadonlyMap<string, Verb>;

/** Weir starts these itself. */
const internal = ['worker', 'successor', 'daemon'];

export interface OptionWords {
  /** `--config`, and `-c` if there is one. */
  readonly flags: readonly string[];
  readonly spec: OptionSpec;
}

export interface VerbWords {
  readonly name: string;
  readonly verb: Verb;
  readonly options: readonly OptionWords[];
  /** What may stand behind the name, word by word: `add` and `remove` of `weir node`. */
  readonly choices: readonly string[];
}

/**
 * Words in lower case of a synopsis are written as they are; names in capitals stand for something. Values of options are
 * left out.
 */
export function choicesOf(synopsis: string): string[] {
  const withoutOptions = synopsis.replace(/--[\w-]+( [A-Z][\w.:[\]]*)?/g, ' ');
  return [...new Set(withoutOptions.match(/(?<![\w"])[a-z]+(?![\w"])/g) ?? [])];
}

function optionsOf({ options }: Verb): OptionWords[] {
  return Object.entries(options).map(([name, spec]) => ({
    flags: spec.short === undefined ? [`--${name}`] : [`--${name}`, `-${spec.short}`],
    spec,
  }));
}

/** In the order of their names, with those that run.ts answers itself. */
export function wordsOf(verbs: Verbs): VerbWords[] {
  const names = [...verbs.keys()].filter((name) => !internal.includes(name));
  const simple = (about: string): Verb => ({ synopsis: '', about, options: {}, run: () => Promise.resolve(0) });
  const all: readonly VerbWords[] = [
    ...[...verbs]
      .filter(([name]) => !internal.includes(name))
      .map(([name, verb]) => ({ name, verb, options: optionsOf(verb), choices: choicesOf(verb.synopsis) })),
    {
      name: 'help',
      verb: { ...simple('How a command is used.'), synopsis: '[COMMAND]' },
      options: [],
      choices: [...names].sort(),
    },
    { name: 'version', verb: simple('The version.'), options: [], choices: [] },
  ];
  return [...all].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Of a text of several. */
export function firstSentence(text: string): string {
  return /^[^]*?[.](?= |$)/.exec(text)?.[0] ?? text;
}

/** The value is the name of a file. */
export function takesFile({ value }: OptionSpec): boolean {
  return value === 'FILE';
}
