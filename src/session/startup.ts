/**
 * The settings in a client's StartupMessage, including Weir's own. None is dropped silently: PostgreSQL refuses
 * unknown ones when they are first applied.
 */
import { WeirError } from '../errors/errors.ts';
import { Preferences } from './preferences.ts';
import { encodingName, Settings, settingFromText, type Setting } from './settings.ts';

export interface Startup {
  readonly settings: Settings;
  readonly preferences: Preferences;
}

/** Parameters that are not settings, or that Weir handles itself. */
const notSettings: ReadonlySet<string> = new Set(['user', 'database', 'replication', 'options']);

/** `-c a=b --c-d=e -ca=b` with backslash escapes, as PostgreSQL reads it (pg_split_opts). */
export function splitOptions(options: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  for (let i = 0; i < options.length; i++) {
    const char = options[i] as string;
    if (/\s/.test(char)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else if (char === '\\' && i + 1 < options.length) {
      word = (word ?? '') + options[++i];
    } else {
      word = (word ?? '') + char;
    }
  }
  if (word !== undefined) words.push(word);
  return words;
}

/** @throws WeirError not_supported for switches that are not settings */
export function parseOptions(options: string): [name: string, value: string][] {
  const words = splitOptions(options);
  const pairs: [string, string][] = [];
  for (let i = 0; i < words.length; i++) {
    const word = words[i] as string;
    let assignment: string | undefined;
    if (word === '-c' || word === '--') assignment = words[++i];
    else if (word.startsWith('--')) assignment = word.slice(2);
    else if (word.startsWith('-c')) assignment = word.slice(2);
    const at = assignment?.indexOf('=') ?? -1;
    if (assignment === undefined || at < 1) throw new WeirError('not_supported', { what: `startup option "${word}"` });
    pairs.push([assignment.slice(0, at).trim().toLowerCase().replaceAll('-', '_'), assignment.slice(at + 1).trim()]);
  }
  return pairs;
}

/**
 * @param parameters of the StartupMessage, without user and database
 * @param byDefault what a server of this database reports by default, by the name in lower case: a parameter of the same value is not
 * a setting
 * @throws WeirError for an unknown weir.* name or value, or an option that is not a setting
 */
export function readStartup(parameters: ReadonlyMap<string, string>, byDefault: ReadonlyMap<string, string>): Startup {
  const wanted = new Map<string, string>();
  for (const [name, value] of parseOptions(parameters.get('options') ?? '')) wanted.set(name, value);
  for (const [name, value] of parameters) {
    const lower = name.toLowerCase();
    if (!notSettings.has(lower) && !lower.startsWith('_pq_.')) wanted.set(lower, value);
  }
  let preferences = Preferences.none;
  const settings: [string, Setting][] = [];
  for (const [name, value] of wanted) {
    if (name === 'target_session_attrs') preferences = preferences.withTarget(value);
    else if (name.startsWith('weir.')) preferences = preferences.with(name, value);
    else if (!isSame(name, value, byDefault.get(name))) settings.push([name, settingFromText(name, value)]);
  }
  return { settings: Settings.of(settings), preferences };
}

function isSame(name: string, wanted: string, reported: string | undefined): boolean {
  if (reported === undefined) return false;
  if (name === 'client_encoding') return encodingName(wanted) === encodingName(reported);
  if (name === 'datestyle') return reported.toLowerCase().startsWith(`${wanted.toLowerCase()},`) || wanted === reported;
  return wanted === reported;
}
