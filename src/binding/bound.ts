/**
 * The plan of a statement with `set_config($1, ...)` after Bind: only the parameters tell which settings it changes. Called
 * by the session for each Bind of such a statement.
 */
import type { SettingChange } from '../sql/facts.ts';
import { effectsOf, hasAnyEffect, IN_FUNCTION, NOT_READ_YET } from './effects.ts';
import { customSettingsOf } from './settings.ts';
import type { Plan } from './plan.ts';

/**
 * @param plan of one statement; any other plan is returned as it is
 * @param settings the changes by its set_config() calls, with the values of this Bind
 */
export function boundTo(plan: Plan, settings: readonly SettingChange[]): Plan {
  const [statement] = plan.facts.statements;
  if (statement === undefined) return plan;
  const bound = { ...statement, settings, boundSettings: undefined, hidesSettings: false };
  const {
    effects: { isSuspect, pins },
    customSettings: asks,
  } = plan;
  const namePins = pins.filter((reason) => reason === IN_FUNCTION || reason === NOT_READ_YET);
  const effects = effectsOf(bound, isSuspect, plan.facts.template, namePins);
  return {
    ...plan,
    facts: { ...plan.facts, statements: [bound] },
    effects,
    hasEffects: hasAnyEffect(effects),
    customSettings: customSettingsOf([bound], () => (asks?.asksAny === true ? 'any' : (asks?.asks ?? []))),
  };
}
