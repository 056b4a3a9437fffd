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
    '`pg_advisory_lock()` and its kin, of the session',
    '`pg_advisory_unlock_all()`, or `pg_advisory_unlock()` of the last one',
    {
      isGone: `NOT EXISTS (SELECT FROM pg_catalog.pg_locks
        WHERE locktype = 'advisory' AND pid = pg_catalog.pg_backend_pid())`,
    },
  ),
  PREPARE: pin(
    '`PREPARE` in SQL; `DEALLOCATE`, `EXECUTE` of a statement of the protocol',
    '`DEALLOCATE` of the last one',
  ),
  sequence: pin(
    'what may advance a sequence, once the client has called `currval()` or `lastval()`; the first such call goes to ' +
      'the server where it last advanced one',
    '`DISCARD SEQUENCES`',
  ),
  'SET SESSION AUTHORIZATION': pin('`SET SESSION AUTHORIZATION`', '`RESET SESSION AUTHORIZATION`', takenBack),
  'setting that cannot be replayed': pin(
    '`set_config()` whose arguments are neither constants nor parameters, `setseed()`',
    '`RESET ALL`',
    takenBack,
  ),
  'session state of an unparsed statement': pin('a statement that is not understood, but for data', '-', takenBack),
  'session state of a function': pin(
    'functions and `DO` blocks whose source speaks of settings, temporary tables, locks or channels, and whatever calls ' +
      'one, also through triggers, defaults, views, policies, operators and casts; those of dblink',
    '-',
  ),
  'catalog not read yet': pin(
    'after DDL, until the catalog has been read again: what calls a function, reads or writes a relation that the last ' +
      'catalog does not have, and in the transaction with the DDL whatever may change the session',
    'the catalog has been read again, and shows that the statement leaves nothing behind; else the pin for ' +
      'functions takes its place',
  ),
  LOAD: pin('`LOAD`', '-; the server is closed behind its client', { isDiscarded: false }),
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
    'followed, with the semantics of transactions and savepoints; **replayed** onto the next server in one exchange, ' +
      'together with what the last client had to be undone',
  ],
  [
    'defaults of `ALTER ROLE ... SET` and `ALTER DATABASE ... SET`',
    'those of the time when the client logged in: servers from before a change are closed, and the clients from before it ' +
      'have what they began with **replayed**',
  ],
  [
    'custom settings (`app.x`), of which a server keeps the names through everything',
    'a client that asks for one it has never set gets a server where nobody has, a new one if none is idle; one that it ' +
      'has reset is made there, empty',
  ],
  ['reported settings changed by functions', 'followed by what the server reports; **replayed**'],
  [
    'prepared statements of the protocol, named and unnamed',
    '**followed**; prepared on demand. A plan is shared between clients only if their settings, types and the catalog ' +
      'are the same. A server that prepares a statement anew reads its constants in the settings with which it was first ' +
      'prepared, and is asked what it brings there, and if that has changed the ' +
      'client gets "cached plan must not change result type" before anything is executed, as from PostgreSQL',
  ],
  [
    '`SET LOCAL`, `SET CONSTRAINTS`, `SET TRANSACTION`, transaction-level advisory locks, cursors without `HOLD`, ' +
      'portals, large objects opened, `ON COMMIT DROP`, `NOTIFY`',
    'end with the **transaction**, which keeps its server',
  ],
  [
    '`DEALLOCATE name`, `EXECUTE name` in all its forms, `PREPARE name`, `pg_prepared_statements`, also behind views and functions, of statements of the protocol',
    'the server is told the client’s own names first; **pinned** as long as it knows them',
  ],
  [
    'other volatile functions and whatever calls one; functions that cannot be seen through (dynamic SQL, other languages ' +
      'than SQL and PL/pgSQL); `CALL`, `DO`, DDL; reads of anything while the catalog is not known',
    'the server is **reset** (`DISCARD ALL`) before another client gets it',
  ],
];

const head = `# State of a session

<!-- Made by \`npm run docs\` from src/binding/session-state.ts: change it there. -->

How the state of a session is kept in transaction mode. In session mode the client has its server to itself, and
\`DISCARD ALL\` cleans it for the next. What is known to differ from PostgreSQL is in [what-differs.md](what-differs.md).

| state | in transaction mode |
|---|---|
`;

const pinsHead = `
## Pins

A pinned client keeps its server between transactions; \`SHOW CLIENTS\` says why, in the words of the first column. A pin
ends as soon as its reason does, and what a rollback takes back ends it, too. Where a statement does not say whether
anything is left (\`DROP\`, \`CLOSE\`, \`UNLISTEN\`, \`pg_advisory_unlock()\`), the server is asked.

| pin | begins with | ends with | ended by \`DISCARD ALL\` | taken back by a rollback |
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
