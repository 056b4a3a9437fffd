/**
 * ignore_startup_parameters: what of a client's StartupMessage is dropped, as by PgBouncer, instead of being set on the server.
 * Called by app/reception.ts.
 */
import { parseOptions } from './startup.ts';

/** With `options` in the list, of the parameters in the options of the client these stay, and Weir's own. */
const tracked: ReadonlySet<string> = new Set([
  'client_encoding',
  'datestyle',
  'timezone',
  'standard_conforming_strings',
  'application_name',
  'intervalstyle',
]);

const escaped = (text: string): string => text.replace(/[\\\s]/g, '\\$&');

/**
 * @param parameters of the StartupMessage, which is changed
 * @throws WeirError not_supported for switches in the options that are not settings
 */
export function dropIgnored(parameters: Map<string, string>, ignored: readonly string[]): void {
  if (ignored.length === 0) return;
  const names = new Set(ignored.map((name) => name.toLowerCase()));
  for (const name of [...parameters.keys()])
    if (name.toLowerCase() !== 'options' && names.has(name.toLowerCase())) parameters.delete(name);
  const options = parameters.get('options');
  if (options === undefined) return;
  const isKept = (name: string): boolean =>
    !names.has(name) && (!names.has('options') || tracked.has(name) || name.startsWith('weir.'));
  const kept = parseOptions(options).filter(([name]) => isKept(name));
  if (kept.length === 0) parameters.delete('options');
  else parameters.set('options', kept.map(([name, value]) => `-c ${name}=${escaped(value)}`).join(' '));
}
