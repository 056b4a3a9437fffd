/**
 * Custom settings ("app.tenant"): which of them a text asks for and which it makes. One that was once made on a server stays
 * there, empty, where PostgreSQL says NULL to who has never set it. Called by make-plan.ts.
 */
import type { FunctionCall, StatementFacts } from '../sql/facts.ts';

export interface CustomSettings {
  /** Asked for before the text itself makes them. */
  readonly asks: readonly string[];
  readonly makes: readonly string[];
}

/** @param within what the functions that a statement calls ask for, by their source */
export function customSettingsOf(
  statements: readonly StatementFacts[],
  within: (i: number) => readonly string[] = () => [],
): CustomSettings | undefined {
  const asks = new Set<string>();
  const makes = new Set<string>();
  for (const [i, { settings, functions, shows }] of statements.entries()) {
    for (const { name } of settings) if (isCustom(name)) makes.add(name);
    for (const name of constantsOf(functions, 'set_config')) makes.add(name);
    const asked = [...constantsOf(functions, 'current_setting'), ...(shows === undefined ? [] : [shows]), ...within(i)];
    for (const name of asked) if (isCustom(name) && !makes.has(name)) asks.add(name);
  }
  return asks.size + makes.size === 0 ? undefined : { asks: [...asks], makes: [...makes] };
}

/** Those of Weir are on no server. */
function isCustom(name: string): boolean {
  return name.includes('.') && !name.startsWith('weir.');
}

function constantsOf(functions: readonly FunctionCall[], called: string): string[] {
  return functions
    .filter(({ schema, name }) => name === called && (schema === undefined || schema === 'pg_catalog'))
    .map(({ firstConstant }) => firstConstant?.toLowerCase() ?? '')
    .filter(isCustom);
}
