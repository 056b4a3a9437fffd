/**
 * How each kind of session state is kept in transaction mode. The code uses the table of pins: what ends each of them,
 * whether a rollback undoes it, and the SQL that asks the server whether its reason is gone. `npm run docs` prints
 * docs/session-state.md from both tables.
 */

/** A reason why a session must keep its server between transactions. */
interface Pin {
  /** What begins it, in words. */
  readonly by: string;
  /** What ends it besides DISCARD ALL, in words. */
  readonly ends: string;
  /** A rollback of the transaction that began it ends it. */
  readonly isTakenBack: boolean;
  /** DISCARD ALL ends it. */
  readonly isDiscarded: boolean;
  /**
   * SQL condition that is true once the reason is gone; asked after a statement that may have ended it.
   * undefined: the statement tells whether it ends the pin, or no query can.
   */
  readonly isGone: string | undefined;
}

function pin(by: string, ends: string, more: Partial<Pick<Pin, 'isTakenBack' | 'isDiscarded' | 'isGone'>> = {}): Pin {
  return { isTakenBack: false, isDiscarded: true, isGone: undefined, by, ends, ...more };
}

const takenBack = { isTakenBack: true } as const;

/** By the name that SHOW CLIENTS prints. */
export const pins = {
  LISTEN: pin('`LISTEN`', '`UNLISTEN *`, or `UNLISTEN` of the last channel', {
    ...takenBack,
    isGone: 'NOT EXISTS (SELECT FROM pg_catalog.pg_listening_channels())',
  }),
  'temporary table': pin(
    '`CREATE TEMP ...`, `SELECT INTO TEMP`, anything made in `pg_temp`; not `ON COMMIT DROP`',
    '`DISCARD TEMP`, or `DROP` of the last temporary object',
    {
      ...takenBack,
      isGone: `NOT EXISTS (SELECT FROM pg_catalog.pg_depend WHERE refobjid = pg_catalog.pg_my_temp_schema()
        AND refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass)`,
    },
  ),
  'cursor WITH HOLD': pin('`DECLARE ... WITH HOLD`', '`CLOSE ALL`, or `CLOSE` of the last one', {
    ...takenBack,
    isGone: 'NOT EXISTS (SELECT FROM pg_catalog.pg_cursors WHERE is_holdable)',
  }),
  'advisory lock': pin(
    '`pg_advisory_lock()` and its variants, at session level',
    '`pg_advisory_unlock_all()`, or `pg_advisory_unlock()` of the last one',
    {
      isGone: `NOT EXISTS (SELECT FROM pg_catalog.pg_locks
        WHERE locktype = 'advisory' AND pid = pg_catalog.pg_backend_pid())`,
    },
  ),
  PREPARE: pin(
    '`PREPARE` in SQL; `DEALLOCATE`, `EXECUTE` of a statement prepared by the protocol',
    '`DEALLOCATE` of the last one',
  ),
  sequence: pin(
    'a statement that may advance a sequence, once the client has called `currval()` or `lastval()`; the first such ' +
      'call goes to the server where the client last advanced one',
    '`DISCARD SEQUENCES`',
  ),
  'SET SESSION AUTHORIZATION': pin('`SET SESSION AUTHORIZATION`', '`RESET SESSION AUTHORIZATION`', takenBack),
  'setting that cannot be replayed': pin(
    '`set_config()` whose arguments are neither constants nor parameters, `setseed()`',
    '`RESET ALL`',
    takenBack,
  ),
  'session state of an unparsed statement': pin(
    'a statement that Weir cannot parse, unless its verb shows that it leaves no state',
    '-',
    takenBack,
  ),
  'session state of a function': pin(
    'functions and `DO` blocks whose source mentions settings, temporary tables, locks or channels, and statements that ' +
      'call one, also through triggers, defaults, views, policies, operators and casts; the functions of dblink',
    '-',
  ),
  'catalog not read yet': pin(
    'after DDL, until the catalog has been read again: statements that call a function, or use a relation that the last ' +
      'catalog does not have; in the transaction with the DDL, every statement that may change session state',
    'the catalog has been read again, and shows that the statement leaves no session state; otherwise the pin for ' +
      'functions replaces it',
  ),
  LOAD: pin('`LOAD`', '-; the server is closed when its client disconnects', { isDiscarded: false }),
} as const satisfies Readonly<Record<string, Pin>>;

export type PinReason = keyof typeof pins;

const reasons = Object.keys(pins) as PinReason[];

/** The reasons for which this flag is set. */
export function pinsThat(is: 'isTakenBack' | 'isDiscarded'): readonly PinReason[] {
  return reasons.filter((reason) => pins[reason][is]);
}

/** State that is kept without a pin. */
const kept: readonly (readonly [state: string, how: string])[] = [
  [
    '`SET`, `RESET`, `set_config()` with constants or parameters, `SET ROLE`, `SET TIME ZONE`, startup parameters and `options`',
    'tracked, also through transactions and savepoints; **replayed** on the next server in one round trip, which also ' +
      'resets the settings of its last client',
  ],
  [
    'defaults of `ALTER ROLE ... SET` and `ALTER DATABASE ... SET`',
    'a client keeps those of its log-in: after a change, Weir closes the older servers, and the older defaults are ' +
      '**replayed** for the clients that logged in before it',
  ],
  [
    'custom settings (`app.x`), whose names a server keeps even after `DISCARD ALL`',
    'a client that reads one that it has never set gets a server on which no client has set it, a new one if none is ' +
      'idle; one that the client has reset exists there as an empty string, as in PostgreSQL',
  ],
  ['reported settings changed by functions', 'tracked by the ParameterStatus messages of the server; **replayed**'],
  [
    'prepared statements of the protocol, named and unnamed',
    '**tracked**; prepared on demand. A plan is shared between clients only if their settings, types and the catalog ' +
      'are the same. To prepare a statement again, Weir uses the settings with which it was first prepared, which decide ' +
      'the meaning of its constants, and has the server describe it. If its result columns have changed, the client gets ' +
      '"cached plan must not change result type" before anything is executed, as from PostgreSQL',
  ],
  [
    '`SET LOCAL`, `SET CONSTRAINTS`, `SET TRANSACTION`, transaction-level advisory locks, cursors without `HOLD`, ' +
      'portals, large objects opened, `ON COMMIT DROP`, `NOTIFY`',
    'end with the **transaction**, which keeps its server',
  ],
  [
    '`DEALLOCATE name`, `EXECUTE name` in all its forms, `PREPARE name`, and `pg_prepared_statements` (also read by a view or function), with statements prepared by the protocol',
    'Weir first prepares the statements on the server under the client’s own names; **pinned** as long as they exist there',
  ],
  [
    'other volatile functions and statements that call one; functions that Weir cannot analyze (dynamic SQL, languages ' +
      'other than SQL and PL/pgSQL); `CALL`, `DO`, DDL; reads of any relation while the catalog is not known',
    'the server is **reset** (`DISCARD ALL`) before another client gets it',
  ],
];

const head = `# State of a session

<!-- Made by \`npm run docs\` from src/binding/session-state.ts: change it there. -->

How the state of a session is kept in transaction mode. In session mode the client has its server to itself, and
\`DISCARD ALL\` resets it for the next. [what-differs.md](what-differs.md) lists the known differences from PostgreSQL.

| state | in transaction mode |
|---|---|
`;

const pinsHead = `
## Pins

A pinned client keeps its server between transactions; \`SHOW CLIENTS\` says why, in the words of the first column. A pin
ends when its reason does, or is rolled back. After a statement that may or may not end the reason (\`DROP\`, \`CLOSE\`,
\`UNLISTEN\`, \`pg_advisory_unlock()\`), Weir asks the server.

| pin | begins with | ends with | ended by \`DISCARD ALL\` | ended by a rollback |
|---|---|---|---|---|
`;

/** The text of docs/session-state.md. */
export function sessionStatePage(): string {
  const yes = (is: boolean): string => (is ? 'yes' : 'no');
  const rows = reasons.map((reason) => {
    const { by, ends, isDiscarded, isTakenBack } = pins[reason];
    return `| ${reason} | ${by} | ${ends} | ${yes(isDiscarded)} | ${yes(isTakenBack)} |\n`;
  });
  return head + kept.map(([state, how]) => `| ${state} | ${how} |\n`).join('') + pinsHead + rows.join('');
}
