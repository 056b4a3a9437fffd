/**
 * Does a statement advance a sequence, or read the session's last value of one? currval() and lastval() return what the
 * same server connection has advanced, so the session must return to it (session/concerns/sequences.ts). Called by make-plan.ts.
 */
import type { StatementFacts, StatementKind } from '../sql/facts.ts';

/** Statements whose defaults, triggers or functions may advance a sequence that the text does not name. */
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

/** @param isSuspect it runs functions that may do anything */
export function mayAdvanceSequences(facts: StatementFacts, isSuspect: boolean): boolean {
  return isSuspect || MAY_ADVANCE.has(facts.kind) || calls(facts, ADVANCING);
}

export function asksSequences(facts: StatementFacts): boolean {
  return calls(facts, ASKING);
}
