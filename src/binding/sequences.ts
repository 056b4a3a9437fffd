/**
 * What a statement has to do with the sequences of its session: it may advance one, so that currval() and lastval()
 * answer for it from then on, or it asks for such an answer. Called by make-plan.ts.
 */
import type { StatementFacts, StatementKind } from '../sql/facts.ts';

/** Defaults, triggers and what is called may advance a sequence of which the text says nothing. */
const MAY_ADVANCE: ReadonlySet<StatementKind> = new Set<StatementKind>([
  ...(['insert', 'update', 'delete', 'merge', 'copy-from', 'ddl', 'refresh'] as const),
  ...(['call', 'do', 'execute', 'unknown'] as const),
]);
const ADVANCING = new Set(['nextval', 'setval']);
const ASKING = new Set(['currval', 'lastval']);

function calls(facts: StatementFacts, names: ReadonlySet<string>): boolean {
  return facts.functions.some(
    ({ schema, name }) => (schema === undefined || schema === 'pg_catalog') && names.has(name),
  );
}

/** @param isSuspect it calls something that may do anything */
export function mayAdvanceSequences(facts: StatementFacts, isSuspect: boolean): boolean {
  return isSuspect || MAY_ADVANCE.has(facts.kind) || calls(facts, ADVANCING);
}

export function asksSequences(facts: StatementFacts): boolean {
  return calls(facts, ASKING);
}
