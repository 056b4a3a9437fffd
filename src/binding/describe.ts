/**
 * A Plan in words, for `weir explain` and EXPLAIN ROUTE. Names instead of tags; no decisions of its own.
 */
import type { SettingChange } from '../sql/facts.ts';
import type { Plan, Tag } from './plan.ts';

export interface PlanDescription {
  /** "primary: writes public.users", or where a read may go. */
  readonly route: string;
  /** "cacheable" or "not cached: public.orders has row security". */
  readonly cache: string;
  /** What the answer of a read depends on: names of relations, "the catalog". Empty if it reads no table. */
  readonly reads: string[];
  /** What a commit invalidates: names of relations, "everything", "the catalog". */
  readonly writes: string[];
  /** What it does to the session: "pins: LISTEN", "SET search_path = 'a'", ... */
  readonly effects: string[];
}

export function describePlan(plan: Plan): PlanDescription {
  return {
    route: routeOf(plan),
    cache: plan.isCacheable ? 'cacheable' : `not cached: ${plan.cacheWhy}`,
    reads: plan.reads.map((tag) => nameOfTag(tag, plan)),
    writes: [
      ...(plan.writesAll ? ['everything'] : []),
      ...plan.writes.map((tag) => nameOfTag(tag, plan)),
      ...(plan.changesCatalog ? ['the catalog'] : []),
    ],
    effects: effectsOf(plan),
  };
}

function routeOf(plan: Plan): string {
  if (plan.isRead) return `any node that is fresh enough: ${plan.why}`;
  if (plan.beginsReadOnly)
    return 'any node that is fresh enough, for the whole transaction; the primary if its first statement needs that: BEGIN READ ONLY';
  return `primary: ${plan.why}`;
}

function nameOfTag(tag: Tag, plan: Plan): string {
  const { catalog } = plan;
  if (catalog === undefined || !tag.startsWith(catalog.tagPrefix)) return tag;
  const rest = tag.slice(catalog.tagPrefix.length);
  if (rest === 'cat') return 'the catalog';
  if (rest === 'all') return 'writes of unknown extent';
  return catalog.nameOf(Number(rest.slice(1)));
}

function effectsOf(plan: Plan): string[] {
  const { effects } = plan;
  const found: string[] = effects.settings.map(settingOf);
  if (effects.resetsAll) found.push('RESET ALL');
  if (effects.discards !== undefined) found.push(`DISCARD ${effects.discards.toUpperCase()}`);
  if (effects.deallocates !== undefined)
    found.push(`DEALLOCATE ${effects.deallocates === '' ? 'ALL' : effects.deallocates}`);
  for (const reason of effects.pins) found.push(`pins the server: ${reason}`);
  for (const reason of effects.unpins) found.push(`ends the pin: ${reason}`);
  if (effects.isSuspect)
    found.push('may change the session in ways that cannot be seen: the server is reset afterwards');
  if (plan.begins) found.push('starts a transaction');
  if (plan.mayCommit) found.push('may commit a transaction');
  if (plan.isolatesSnapshot) found.push('keeps one snapshot for the transaction: never cached');
  return found;
}

function settingOf({ isLocal, name, value }: SettingChange): string {
  if (value === undefined) return `RESET ${name}`;
  return `SET ${isLocal ? 'LOCAL ' : ''}${name} = ${value}`;
}
