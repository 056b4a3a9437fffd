/**
 * Collects the value of each setting from the file, the environment and the command line, and all problems with their
 * places. Later sources win. Called by load.ts; databases.ts and change.ts use its messages.
 */
import type { SettingKey } from './settings.ts';
import { environmentName, isSettingKey, settingKeys, settingOf } from './settings.ts';
import { nearest } from './suggest.ts';
import { hintFor } from './pgbouncer/hints.ts';
import { showValue } from './redact.ts';
import type { Parsed, ValueType } from './values.ts';
import type { Place } from './place.ts';
import { entriesOf, readYaml } from './yaml.ts';

export interface Given {
  readonly values: Map<SettingKey, { readonly value: unknown; readonly place: Place }>;
  /** The raw `databases` section. */
  databases: unknown;
  /** The raw `users` section. */
  users: unknown;
  readonly problems: string[];
  readonly warnings: string[];
}

/** A configuration file that was read: YAML, or what a pgbouncer.ini says in its words. */
export interface FileText {
  /** As readYaml() returns it. */
  readonly root: unknown;
  /** Each with its place. */
  readonly problems: readonly string[];
  /** What has no effect, and what differs from PgBouncer, each with its place. */
  readonly notes: readonly string[];
  placeOf(path: readonly string[]): Place;
}

export function readYamlFile(text: string, label: string): FileText {
  const yaml = readYaml(text);
  const placeAt = (line: number | undefined): Place => (line === undefined ? label : `${label}:${line}`);
  return {
    root: yaml.root,
    problems: yaml.problems.map((problem) => `${placeAt(problem.line)}: ${problem.text}`),
    notes: [],
    placeOf: (path) => placeAt(yaml.lineOf(path)),
  };
}

/** Sections of the file: `auth`, `tls`, `tls.client` ... */
export const sections: ReadonlySet<string> = new Set(
  settingKeys.flatMap((key) => {
    const parts = key.split('.');
    return parts.slice(1).map((_, index) => parts.slice(0, index + 1).join('.'));
  }),
);

const topLevel = [...settingKeys, ...sections, 'databases', 'users'];
/** A section with more keys than this is not listed whole in a message. */
const mostListed = 12;

export function refusal(place: Place, key: string, value: unknown, refused: string): string {
  return `${place}: ${key}: ${showValue(key, value)} ${refused}`;
}

export function unknownKey(place: Place, key: string, value: unknown, known: readonly string[]): string {
  const section = key.includes('.') ? key.slice(0, key.lastIndexOf('.') + 1) : '';
  const siblings = known.filter((other) => other.startsWith(section) && section !== '');
  const names = siblings.map((other) => other.slice(section.length));
  const list =
    names.length > 0 && names.length <= mostListed ? `; known in ${section.slice(0, -1)}: ${names.join(', ')}` : '';
  const shownKey = key.length > 80 ? `${key.slice(0, 80)}...` : key;
  const ofPgbouncer = hintFor(key);
  if (ofPgbouncer !== undefined) {
    return `${place}: ${shownKey}: unknown key (its value is ${showValue(key, value)}); ${ofPgbouncer}`;
  }
  const found = nearest(key, known) ?? '';
  return `${place}: ${shownKey}: unknown key (its value is ${showValue(key, value)}); the nearest known key is ${found}${list}`;
}

export function gatherFile(file: FileText, given: Given): void {
  const placeOf = (path: readonly string[]): Place => file.placeOf(path);
  given.problems.push(...file.problems);
  const walk = (map: unknown, path: readonly string[]): void => {
    const entries = entriesOf(map);
    if (entries === undefined) {
      const key = path.join('.');
      given.problems.push(refusal(placeOf(path), key || 'the file', map, 'is not a map of keys and values'));
      return;
    }
    for (const [name, value] of entries) {
      const here = [...path, name];
      const key = here.join('.');
      if (isSettingKey(key) && !name.includes('.'))
        accept(given, key, settingOf(key).type.parse(value), value, placeOf(here));
      else if (key === 'databases') given.databases = value;
      else if (key === 'users') given.users = value;
      else if (sections.has(key) && !name.includes('.')) walk(value, here);
      else given.problems.push(unknownKey(placeOf(here), key, value, topLevel));
    }
  };
  walk(file.root, []);
}

function accept(given: Given, key: SettingKey, parsed: Parsed<unknown>, raw: unknown, place: Place): void {
  if ('refused' in parsed) given.problems.push(refusal(place, key, raw, parsed.refused));
  else given.values.set(key, { value: parsed.value, place });
}

/** A setting written as text: environment, command line. */
export function gatherText(given: Given, key: SettingKey, text: string, place: Place): void {
  accept(given, key, settingOf(key).type.parseText(text), text, place);
}

/** `undefined` when the variable is not set; an empty one counts as not set. */
export function fromEnvironment(env: NodeJS.ProcessEnv, name: string): string | undefined {
  const text = env[name];
  return text === undefined || text.trim() === '' ? undefined : text;
}

export function gatherEnvironment(env: NodeJS.ProcessEnv, given: Given): void {
  for (const key of settingKeys) {
    const name = environmentName(key);
    const text = fromEnvironment(env, name);
    if (text !== undefined) gatherText(given, key, text, name);
  }
}

/**
 * Variables that start with WEIR_ and name no setting: perhaps a typing mistake, so a warning. Not an error, because
 * Kubernetes sets WEIR_SERVICE_HOST, WEIR_PORT_6432_TCP and the like for a service that is called weir.
 */
export function warnOfStrangeVariables(env: NodeJS.ProcessEnv, known: ReadonlySet<string>, given: Given): void {
  const isForeign = /^WEIR_(ADMIN_URL$|TEST_|DEMO_|BENCH_|SERVICE_|PORT$|PORT_)/;
  for (const name of Object.keys(env)) {
    if (!name.startsWith('WEIR_') || known.has(name) || isForeign.test(name)) continue;
    given.warnings.push(`${name}: names no setting and is ignored; the nearest is ${nearest(name, known) ?? ''}`);
  }
}

export function parseWith<T>(type: ValueType<T>, raw: unknown, isText: boolean): Parsed<T> {
  return isText ? type.parseText(String(raw)) : type.parse(raw);
}
