/**
 * The publication that says which tables are decoded. A table without a replica identity is left out: with it, PostgreSQL would
 * refuse UPDATE and DELETE of that table. So it is never FOR ALL TABLES unless an administrator has made it so. Used by reader.ts.
 */
import { StatementError } from '../backend/auth-query-connection.ts';
import type { AskServer } from './types.ts';

/** The publication cannot be used or made; the message says why and what to do. */
export class NoPublication extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'NoPublication';
  }
}

/** Other tables are decoded from now on: a new slot waits for the transactions that have begun before. */
export class PublicationChanged extends Error {
  constructor() {
    super('the publication has changed');
    this.name = 'PublicationChanged';
  }
}

const USER_TABLES = `
  pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relpersistence = 'p' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'`;

/** PostgreSQL can name the row that an UPDATE or a DELETE has changed. */
const HAS_IDENTITY = `
  (c.relreplident = 'f'
   OR (c.relreplident = 'd' AND EXISTS (
     SELECT 1 FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND i.indisprimary AND i.indisvalid AND i.indimmediate))
   OR (c.relreplident = 'i' AND EXISTS (
     SELECT 1 FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND i.indisreplident AND i.indisvalid)))`;

/** Rows that say what is published. Their numbers and transaction IDs change whenever one of them does. */
const versionSql = (hasSchemas: boolean): string => `
  SELECT pg_catalog.concat_ws('/',
    (SELECT p.oid || ':' || p.xmin FROM pg_catalog.pg_publication p WHERE p.pubname = $1),
    ${sumOf('pg_publication_rel', 'prpubid')}${hasSchemas ? `, ${sumOf('pg_publication_namespace', 'pnpubid')}` : ''})`;

const sumOf = (catalog: string, publication: string): string => `
    (SELECT count(*) || ':' || coalesce(sum(r.xmin::text::bigint + r.oid::bigint), 0) FROM pg_catalog.${catalog} r
     JOIN pg_catalog.pg_publication p ON p.oid = r.${publication} WHERE p.pubname = $1)`;

const stateSql = (hasSchemas: boolean): string => `
  SELECT (p.puballtables${hasSchemas ? ' OR EXISTS (SELECT 1 FROM pg_catalog.pg_publication_namespace n WHERE n.pnpubid = p.oid)' : ''})::int::text, (p.pubinsert AND p.pubupdate AND p.pubdelete AND p.pubtruncate)::int::text
  FROM pg_catalog.pg_publication p WHERE p.pubname = $1`;

/** What is not in the publication yet, of trees that may be: a partition is there with the table above it. */
const MISSING = `
  WITH RECURSIVE tree(root, oid) AS (
    SELECT c.oid, c.oid FROM ${USER_TABLES} AND c.relkind IN ('r', 'p')
      AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_inherits h WHERE h.inhrelid = c.oid)
    UNION ALL
    SELECT t.root, h.inhrelid FROM tree t JOIN pg_catalog.pg_inherits h ON h.inhparent = t.oid),
  member(oid) AS (
    SELECT r.prrelid FROM pg_catalog.pg_publication_rel r JOIN pg_catalog.pg_publication p ON p.oid = r.prpubid
    WHERE p.pubname = $1)
  SELECT pg_catalog.string_agg(pg_catalog.format('%I.%I', n.nspname, c.relname), ', ')
    FILTER (WHERE NOT c.relispartition AND m.oid IS NULL)
  FROM tree t JOIN pg_catalog.pg_class c ON c.oid = t.oid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN member m ON m.oid = c.oid
  GROUP BY t.root
  HAVING pg_catalog.bool_and(c.relkind IN ('r', 'p') AND c.relpersistence = 'p'
      AND (c.relkind = 'p' OR ${HAS_IDENTITY}) AND pg_catalog.pg_has_role(c.relowner, 'USAGE'))
    AND pg_catalog.bool_or(NOT c.relispartition AND m.oid IS NULL)`;

/** Each table that is in the publication, by itself or by a table above it, with its root, and whether all of it is. */
const ROOTS = `
  WITH RECURSIVE tree(root, oid) AS (
    SELECT c.oid, c.oid FROM pg_catalog.pg_class c WHERE c.relkind IN ('r', 'p', 'f')
      AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_inherits h WHERE h.inhrelid = c.oid)
    UNION ALL
    SELECT t.root, h.inhrelid FROM tree t JOIN pg_catalog.pg_inherits h ON h.inhparent = t.oid),
  published(oid) AS (
    SELECT c.oid FROM pg_catalog.pg_publication_tables p
    JOIN pg_catalog.pg_namespace n ON n.nspname = p.schemaname
    JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = p.tablename
    WHERE p.pubname = $1 AND (pg_catalog.to_jsonb(p) ->> 'rowfilter') IS NULL),
  covered(oid) AS (
    SELECT oid FROM published
    UNION
    SELECT h.inhrelid FROM covered v JOIN pg_catalog.pg_inherits h ON h.inhparent = v.oid
    JOIN pg_catalog.pg_class c ON c.oid = h.inhrelid WHERE c.relispartition)
  SELECT t.oid::text, t.root::text,
    pg_catalog.bool_and(c.relkind = 'p' OR v.oid IS NOT NULL) OVER (PARTITION BY t.root)::int::text
  FROM tree t JOIN pg_catalog.pg_class c ON c.oid = t.oid LEFT JOIN covered v ON v.oid = t.oid
  WHERE t.root IN (SELECT b.root FROM tree b JOIN covered k ON k.oid = b.oid)`;

const maxTables = 100_000;

export class Publication {
  /** Set it when there may be tables that are not in the publication yet. */
  mayLackTables = true;
  private readonly ask: AskServer;
  private readonly name: string;
  /** The root of each table, partition or child in the publication, by its OID. */
  private readonly roots = new Map<number, number>();
  private version = '';
  /** An administrator has made it FOR ALL TABLES, or for all of a schema: new tables come by themselves. */
  private isOpenEnded = false;
  /** PostgreSQL 15 or newer. */
  private hasSchemas = false;

  constructor(ask: AskServer, name: string) {
    this.ask = ask;
    this.name = name;
  }

  /**
   * Makes the publication if there is none, and adds tables to it, as far as the log-in may.
   * @returns the roots whose whole tree is published. Rejects with NoPublication.
   */
  async begin(): Promise<ReadonlySet<number>> {
    const { ask, name } = this;
    const [server] = await ask(`SELECT pg_catalog.current_setting('server_version_num')`, [], 1);
    this.hasSchemas = Number(server?.[0]) >= 150_000;
    const [state] = await ask(stateSql(this.hasSchemas), [name], 1);
    if (state === undefined) await this.create();
    else if (state[1] !== '1') throw new NoPublication(leavesOut(name));
    if (state?.[0] !== '1') await this.addTables();
    this.mayLackTables = false;
    this.isOpenEnded = state?.[0] === '1';
    this.version = await this.readVersion();
    const whole = new Set<number>();
    for (const [oid, root, isWhole] of await ask(ROOTS, [name], maxTables)) {
      this.roots.set(Number(oid), Number(root));
      if (isWhole === '1') whole.add(Number(root));
    }
    if (whole.size === 0) throw new NoPublication(isEmpty(name));
    return whole;
  }

  /** @returns undefined: the table was not there when the publication was read */
  rootOf(oid: number): number | undefined {
    return this.roots.get(oid);
  }

  /** If there may be some to add. */
  async addTables(): Promise<void> {
    if (!this.mayLackTables) return;
    this.mayLackTables = false;
    if (this.isOpenEnded) throw new PublicationChanged();
    for (const [tables] of await this.ask(MISSING, [this.name], maxTables)) {
      // A table that was dropped or locked meanwhile is tried again with the next change of the catalog.
      const add = `ALTER PUBLICATION ${quoted(this.name)} ADD TABLE ${tables ?? ''}`;
      await this.ask(add, [], 0).catch(ignoreRefusal);
    }
  }

  /** Rejects with PublicationChanged if anything of it is not as `begin` has found it. */
  async check(): Promise<void> {
    if ((await this.readVersion()) !== this.version) throw new PublicationChanged();
  }

  private async readVersion(): Promise<string> {
    const [row] = await this.ask(versionSql(this.hasSchemas), [this.name], 1);
    return row?.[0] ?? '';
  }

  private async create(): Promise<void> {
    try {
      await this.ask(`CREATE PUBLICATION ${quoted(this.name)}`, [], 0);
    } catch (error) {
      ignoreRefusal(error);
      throw new NoPublication(mayNotMake(this.name, (error as Error).message));
    }
  }
}

/** Throws what is not the server's answer: the connection is of no use then. */
function ignoreRefusal(error: unknown): void {
  if (!(error instanceof StatementError)) throw error;
}

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;

const leavesOut = (name: string): string =>
  `publication "${name}" leaves out some of INSERT, UPDATE, DELETE and TRUNCATE: drop it, so that Weir makes it anew, or set all four`;

const isEmpty = (name: string): string =>
  `publication "${name}" has no table that is whole: Weir adds tables with a primary key if it may act as their owner (GRANT owner TO ...)`;

const mayNotMake = (name: string, why: string): string =>
  `there is no publication "${name}", and Weir may not make it (${why}): run CREATE PUBLICATION ${quoted(name)} FOR TABLE ..., ` +
  'or GRANT CREATE ON DATABASE to the role that Weir logs in as';
