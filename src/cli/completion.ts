/**
 * `weir completion bash|zsh|fish`: prints a script that completes commands, options and file names, made from the table of
 * verbs. The scripts do not run weir: a completion must not wait for a process. In the table of run.ts.
 */
import { exitCodes, UsageError } from './io.ts';
import { positionals, type Verb } from './arguments.ts';
import { firstSentence, takesFile, wordsOf, type OptionWords, type VerbWords, type Verbs } from './words.ts';

/** Takes a value. */
const hasValue = ({ spec }: OptionWords): boolean => spec.type === 'string';
/** Shells show it beside the word. */
const hint = (text: string): string => firstSentence(text).replace(/[.]$/, '');
const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
const flagsOf = ({ options }: VerbWords): string => options.flatMap(({ flags }) => flags).join(' ');

/** Patterns of `case` for the options of verbs: `serve:--config|serve:-c`. */
function patterns(words: readonly VerbWords[], isWanted: (option: OptionWords) => boolean): string {
  const found = words.flatMap(({ name, options }) =>
    options.filter(isWanted).flatMap(({ flags }) => flags.map((flag) => `${name}:${flag}`)),
  );
  return found.join('|');
}

function bash(words: readonly VerbWords[]): string {
  const cases = words
    .filter(({ options, choices }) => options.length + choices.length > 0)
    .map((word) => `    ${word.name}) flags=${quoted(flagsOf(word))} choices=${quoted(word.choices.join(' '))} ;;`);
  return `# bash completion for weir: source <(weir completion bash), or a file of /etc/bash_completion.d
_weir() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD - 1]} verb=\${COMP_WORDS[1]} flags='' choices=''
  COMPREPLY=()
  # bash takes --config=FILE apart at the sign.
  if [[ $cur == = ]]; then cur=''; elif [[ $prev == = ]]; then prev=\${COMP_WORDS[COMP_CWORD - 2]}; fi
  if ((COMP_CWORD == 1)); then
    COMPREPLY=($(compgen -W ${quoted(words.map(({ name }) => name).join(' '))} -- "$cur"))
    return
  fi
  case $verb:$prev in
    ${patterns(words, ({ spec }) => takesFile(spec))})
      local IFS=$'\\n'
      compopt -o filenames 2> /dev/null
      COMPREPLY=($(compgen -f -- "$cur"))
      return
      ;;
    ${patterns(words, (option) => hasValue(option) && !takesFile(option.spec))})
      return
      ;;
  esac
  case $verb in
${cases.join('\n')}
  esac
  if [[ $cur == -* ]]; then choices="$flags --help"; elif ((COMP_CWORD > 2)); then choices=''; fi
  COMPREPLY=($(compgen -W "$choices" -- "$cur"))
}
complete -F _weir weir
`;
}

/** Brackets and colons separate the parts of a description. */
const zshText = (text: string): string => hint(text).replace(/[[\]:\\]/g, (sign) => `\\${sign}`);

function zshOption({ flags, spec }: OptionWords): string {
  const value = spec.type === 'boolean' ? '' : `:${zshText(spec.value ?? 'value')}:${takesFile(spec) ? '_files' : ' '}`;
  const repeated = spec.multiple === true ? '*' : '';
  const about = `[${zshText(spec.about)}]${value}`;
  if (flags.length === 1) return quoted(`${repeated}${flags[0]}${about}`);
  return `${quoted(`(${flags.join(' ')})${repeated}`)}{${flags.join(',')}}${quoted(about)}`;
}

function zsh(words: readonly VerbWords[]): string {
  const verbs = words.map(({ name, verb }) => `    ${quoted(`${name}:${zshText(verb.about)}`)}`);
  const cases = words.map((word) => {
    const choices = word.choices.length === 0 ? [] : [quoted(`1: :(${word.choices.join(' ')})`)];
    // Without the last one, no option is completed after the name of a database; a message in it would keep zsh from inserting.
    const others = [quoted('--help[How the command is used]'), quoted('*:argument:{ : }')];
    const specs = [...word.options.map(zshOption), ...choices, ...others];
    return `    ${word.name})\n      _arguments -s \\\n        ${specs.join(' \\\n        ')}\n      ;;`;
  });
  return `#compdef weir
# zsh completion for weir: source <(weir completion zsh), or a file _weir in a folder of $fpath
_weir() {
  local -a verbs
  verbs=(
${verbs.join('\n')}
  )
  if ((CURRENT == 2)); then
    _describe -t commands command verbs
    return
  fi
  local verb=$words[2]
  shift words
  ((CURRENT--))
  case $verb in
${cases.join('\n')}
  esac
}
if [[ $funcstack[1] == _weir ]]; then _weir "$@"; else compdef _weir weir; fi
`;
}

/** In single quotes, fish knows two escapes. */
const fishText = (text: string): string => `'${text.replace(/['\\]/g, (sign) => `\\${sign}`)}'`;

function fishOption(name: string, { flags, spec }: OptionWords): string {
  const [long = '', short] = flags;
  const parts = [`complete -c weir -n '__weir_verb ${name}' -l ${long.slice(2)}`];
  if (short !== undefined) parts.push(`-s ${short.slice(1)}`);
  if (spec.type === 'string') parts.push(takesFile(spec) ? '-r -F' : '-x');
  return `${parts.join(' ')} -d ${fishText(hint(spec.about))}`;
}

function fish(words: readonly VerbWords[]): string {
  const lines = words.flatMap(({ name, verb, options, choices }) => [
    `complete -c weir -n __weir_no_verb -a ${name} -d ${fishText(hint(verb.about))}`,
    ...options.map((option) => fishOption(name, option)),
    ...(choices.length === 0 ? [] : [`complete -c weir -n '__weir_bare ${name}' -a '${choices.join(' ')}'`]),
  ]);
  return `# fish completion for weir: weir completion fish > ~/.config/fish/completions/weir.fish
function __weir_no_verb
    test (count (commandline -opc)) -eq 1
end
function __weir_verb
    set -l words (commandline -opc)
    test (count $words) -ge 2; and test $words[2] = $argv[1]
end
function __weir_bare
    __weir_verb $argv; and test (count (commandline -opc)) -eq 2
end
complete -c weir -f
complete -c weir -l help -d 'How the command is used'
${lines.join('\n')}
`;
}

const shells: Readonly<Record<string, (words: readonly VerbWords[]) => string>> = { bash, zsh, fish };

/** @param verbs the table, when it is complete */
export function completionVerb(verbs: () => Verbs): Verb {
  return {
    synopsis: 'bash|zsh|fish',
    about: 'Prints a script with which the shell completes commands and options.',
    options: {},
    run(args, io) {
      const names = Object.keys(shells).join(', ');
      const [shell = ''] = positionals(args, 1, 1, `the name of a shell: ${names}`);
      const script = Object.hasOwn(shells, shell) ? shells[shell] : undefined;
      if (script === undefined) throw new UsageError(`${shell}: write one of ${names}`);
      io.out(script(wordsOf(verbs())));
      return Promise.resolve(exitCodes.done);
    },
  };
}
