/**
 * PostgreSQL reads the constants of a statement when it is prepared. A server that has to prepare it again does so
 * with the settings of the first time: they are set before its Parse and restored after it, within the client's batch,
 * so that nothing waits and nothing is left if the batch fails. Called by names.ts.
 */
import { Answer, Owed } from '../../protocol/answers.ts';
import { bindTo, close, execute, parse } from '../../protocol/write.ts';
import type { AnswerReceiver, ServerConnection } from '../../backend/server.ts';
import type { StatementKind } from '../../sql/facts.ts';
import type { Session } from '../../session/session.ts';
import { quoteLiteral, type Settings } from '../../session/settings.ts';
import type { SessionState } from '../../session/state.ts';
import type { Statement } from '../../session/statements.ts';

/** Settings that decide how a text and its constants are read. */
const readingSettings = [
  ...['datestyle', 'intervalstyle', 'timezone', 'array_nulls', 'transform_null_equals'],
  ...['standard_conforming_strings', 'backslash_quote', 'xmloption', 'lc_monetary'],
] as const;

/** Kinds of statements whose constants are read when they are prepared. For others PostgreSQL keeps the text. */
const analysed: ReadonlySet<StatementKind> = new Set<StatementKind>([
  ...(['select', 'insert', 'update', 'delete', 'merge', 'unknown'] as const),
]);

/**
 * No other statement or portal has this name: Weir's names have no blank in them, and clients' own names do not get
 * here.
 */
const ownName = 'weir reading';
const noTypes = Buffer.alloc(2);

/** Calls `send`, which sends the Parse of a statement, with the settings in force with which it was first prepared. */
export function inItsReading(
  session: Session,
  server: ServerConnection,
  statement: Statement,
  send: () => void,
  receiver: AnswerReceiver = session.receiver,
): void {
  const names = otherReadings(statement, session.state);
  if (names.length === 0) return send();
  select(
    receiver,
    server,
    names.flatMap((name) => takeOn(name, statement.settings)),
  );
  send();
  select(
    receiver,
    server,
    names.map((name) => call(name, `pg_catalog.current_setting('weir.${name}')`)),
  );
}

function otherReadings({ settings, classified }: Statement, state: SessionState): string[] {
  const now = state.live;
  if (!state.hasLocals && (settings === now || settings.key === now.key)) return [];
  if (!classified.facts.statements.some(({ kind }) => analysed.has(kind))) return [];
  // If the search_path has changed, PostgreSQL itself analyses the statement anew.
  if (settings.get('search_path') !== now.get('search_path')) return [];
  return readingSettings.filter((name) => settings.get(name) !== now.get(name) || state.isLocal(name));
}

/** Saves the present value in a setting on the server, since only the server knows a default or a LOCAL value. */
function takeOn(name: string, settings: Settings): string[] {
  const value = settings.get(name);
  const kept = call(`weir.${name}`, `pg_catalog.current_setting('${name}')`);
  if (value === undefined) return [kept, call(name, 'NULL')];
  // DateStyle has two halves, of which a value may name only one.
  const whole = name === 'datestyle' ? [call(name, 'NULL')] : [];
  return [kept, ...whole, call(name, quoteLiteral(value))];
}

/** LOCAL, so that an error in the batch, or its end, restores the value. */
function call(name: string, value: string): string {
  return `pg_catalog.set_config('${name}', ${value}, true)`;
}

/**
 * Sends a SELECT whose answer is not relayed, and which leaves the client's unnamed statement and portal as they are.
 */
function select(receiver: AnswerReceiver, server: ServerConnection, calls: readonly string[]): void {
  const sql = Buffer.from(`SELECT ${calls.join(', ')}`);
  const steps = [
    [Owed.Parse, parse(ownName, sql, noTypes)],
    [Owed.Bind, bindTo(ownName, ownName)],
    [Owed.Execute, execute(0, ownName)],
    [Owed.Close, close('P', ownName)],
    [Owed.Close, close('S', ownName)],
  ] as const;
  for (const [kind, bytes] of steps) {
    server.send(bytes);
    server.owe(new Answer<AnswerReceiver>(kind, receiver, true));
  }
}
