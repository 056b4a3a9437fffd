/**
 * The plan of a statement whose set_config() calls have their values: what it changes in the session is known from here on.
 * Called with each Bind of such a statement; of others nobody asks.
 */
import type { SettingChange } from '../sql/facts.ts';
import { effectsOf, hasAnyEffect } from './effects.ts';
import { customSettingsOf } from './settings.ts';
import type { Plan } from './plan.ts';

export function boundTo(plan: Plan, settings: readonly SettingChange[]): Plan {
  const [statement] = plan.facts.statements;
  if (statement === undefined) return plan;
  const bound = { ...statement, settings, boundSettings: undefined, hidesSettings: false };
  const { isSuspect, pins } = plan.effects;
  const leavesState = pins.includes('session state of a function');
  const effects = effectsOf(bound, isSuspect, plan.facts.template, leavesState);
  return {
    ...plan,
    facts: { ...plan.facts, statements: [bound] },
    effects,
    hasEffects: hasAnyEffect(effects),
    customSettings: customSettingsOf([bound], () => plan.customSettings?.asks ?? []),
  };
}
