/**
 * Which custom settings ("app.tenant") a text reads and which it creates. Once created, a custom setting stays on its
 * server connection: after a reset it is the empty string, where a new connection answers NULL or an error. So a client
 * that reads one which it has never set needs a server where no client has. Called by make-plan.ts and bound.ts.
 */
import type { FunctionCall, StatementFacts } from '../sql/facts.ts';

export interface CustomSettings {
  /** Settings that the text reads without having created them before. */
  readonly asks: readonly string[];
  /** It may read any setting, in a function whose source is not known. */
  readonly asksAny: boolean;
  readonly makes: readonly string[];
}

/**
 * @param askedByFunctions by index of the statement: the settings that its functions read, according to their source; 'any' if
 *   that is not known
 */
export function customSettingsOf(
  statements: readonly StatementFacts[],
  askedByFunctions: (i: number) => readonly string[] | 'any',
): CustomSettings | undefined {
  let asksAny = false;
  const asks = new Set<string>();
  const makes = new Set<string>();
  for (const [i, { settings, functions, shows }] of statements.entries()) {
    for (const { name } of settings) if (isCustom(name)) makes.add(name);
    for (const name of constantsOf(functions, 'set_config')) makes.add(name);
    const askedHere = askedByFunctions(i);
    asksAny ||= askedHere === 'any';
    const asked = [
      ...constantsOf(functions, 'current_setting'),
      ...(shows === undefined ? [] : [shows]),
      ...(askedHere === 'any' ? [] : askedHere),
    ];
    for (const name of asked) if (isCustom(name) && !makes.has(name)) asks.add(name);
  }
  return asksAny || asks.size + makes.size > 0 ? { asks: [...asks], asksAny, makes: [...makes] } : undefined;
}

/** The custom settings that the statements create. */
export function madeBy(statements: readonly StatementFacts[]): readonly string[] {
  return customSettingsOf(statements, () => [])?.makes ?? none;
}

const none: readonly string[] = [];

/** False for Weir's own settings (weir.*), which are never set on a server. */
function isCustom(name: string): boolean {
  return name.includes('.') && !name.startsWith('weir.');
}

function constantsOf(functions: readonly FunctionCall[], called: string): string[] {
  return functions
    .filter(({ schema, name }) => name === called && (schema === undefined || schema === 'pg_catalog'))
    .map(({ firstConstant }) => firstConstant?.toLowerCase() ?? '')
    .filter(isCustom);
}
