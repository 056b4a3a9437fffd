/**
 * EXPLAIN ROUTE and `weir explain`: what would happen to a statement, without running it. Reads the same values as the
 * request path (plan, cacheability, route), for a session without history.
 */
import { describePlan } from '../binding/describe.ts';
import { route } from '../routing/route.ts';
import type { Database, Services } from '../session/context.ts';

export interface Explanation {
  readonly item: string;
  readonly value: string;
}

export function explainStatement(database: Database, services: Services, user: string, sql: string): Explanation[] {
  const { facts, hints } = services.classifier.classify(Buffer.from(sql));
  const plan = services.binder.bind(facts, database.topology.catalog(), undefined, user);
  const described = describePlan(plan);
  const decision = route(
    {
      isRead: plan.isRead || plan.beginsReadOnly,
      why: plan.why,
      forced: hints?.route ?? 'auto',
      forcedBy: 'hint',
      consistency: hints?.consistency ?? services.routing().consistency,
      needLsn: 0,
      avoid: '',
      lastNode: '',
      moveLsn: 0,
      key: hints?.key ?? user,
      keyBy: hints?.key === undefined ? 'user' : 'hint',
      nowMs: services.nowMs(),
    },
    database.topology.snapshot(),
    services.routing(),
    services.random,
    { value: database.common.turn.value },
  );
  const rows: Explanation[] = [
    { item: 'statement', value: facts.statements.map((statement) => statement.verb).join('; ') || 'empty' },
    { item: 'template', value: facts.template },
    { item: 'may run on', value: described.route },
    { item: 'node now', value: decision.node?.name ?? 'none' },
    { item: 'why', value: decision.why() },
    {
      item: 'cache',
      value: services.cache.isEnabled ? described.cache : `off (cache.enabled is false); else: ${described.cache}`,
    },
  ];
  if (described.reads.length > 0) rows.push({ item: 'depends on', value: described.reads.join(', ') });
  if (described.writes.length > 0) rows.push({ item: 'invalidates', value: described.writes.join(', ') });
  for (const effect of described.effects) rows.push({ item: 'session', value: effect });
  if (hints?.problem !== undefined) rows.push({ item: 'hint', value: `ignored: ${hints.problem}` });
  return rows;
}
