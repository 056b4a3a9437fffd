/**
 * What is written and read: the tables, each with one row (a register) for every slot, the objects by which a write to one
 * of them reaches another, and the forms in which each is read. Data only; kinds.ts has the writes, workload.ts the sessions.
 */
export const slots = 8;

/** Tables that hold a register `n` for each slot `id`. Those joined by `=` in `together` always hold the same. */
export const tables = [
  'plain',
  'pair_a',
  'pair_b',
  'part',
  'fk_parent',
  'fk_child',
  'trig_src',
  'trig_dst',
  'defer_src',
  'defer_dst',
  'rule_src',
  'rule_dst',
  'inst_base',
  'copied',
  'truncated',
  'called',
  'inherited',
  'mat_src',
  'mat_dst',
  'two_phase',
  'slow',
  'around',
  'beside',
  'late',
] as const;

export type Table = (typeof tables)[number];

/** Of one statement's snapshot both hold the same. */
export const together: readonly (readonly [Table, Table])[] = [
  ['pair_a', 'pair_b'],
  ['fk_parent', 'fk_child'],
  ['trig_src', 'trig_dst'],
  ['defer_src', 'defer_dst'],
  ['rule_src', 'rule_dst'],
];

export const registerOf = (table: Table, slot: number): number => tables.indexOf(table) * slots + slot;

export const registerNames: readonly string[] = tables.flatMap((table) =>
  Array.from({ length: slots }, (_, slot) => `${table}[${slot}]`),
);

/** By triggers of which Weir hears late: until then only who has written is owed it (docs/consistency.md, "DDL around Weir"). */
export const writtenByNews: readonly Table[] = ['late'];

/** `truncated` is one table for each slot: TRUNCATE takes all of its rows. */
const truncated = Array.from({ length: slots }, (_, slot) => `truncated_${slot}`);

/** Those that get such a trigger: of one slot each, or the triggers of others would be known already. */
const quiet = Array.from({ length: slots }, (_, slot) => `quiet_${slot}`);

const ordinary = tables.filter((table) => !['part', 'fk_parent', 'fk_child', 'truncated', 'mat_dst'].includes(table));

const createTables = `
${ordinary.map((table) => `CREATE TABLE ${table} (id int PRIMARY KEY, n int NOT NULL);`).join('\n')}
ALTER TABLE copied DROP CONSTRAINT copied_pkey;
CREATE INDEX ON copied (id, n);
ALTER TABLE plain ADD COLUMN at timestamptz NOT NULL DEFAULT '2020-01-01 00:00:00+00';
ALTER TABLE plain ADD COLUMN word text NOT NULL DEFAULT 'now';
CREATE TABLE inherited_child () INHERITS (inherited);
CREATE TABLE part (id int, n int NOT NULL, region int NOT NULL DEFAULT 0) PARTITION BY LIST (region);
CREATE TABLE part_0 PARTITION OF part FOR VALUES IN (0);
CREATE TABLE part_1 PARTITION OF part FOR VALUES IN (1);
CREATE TABLE fk_parent (id int PRIMARY KEY, n int NOT NULL, UNIQUE (id, n));
CREATE TABLE fk_child (id int PRIMARY KEY, n int NOT NULL,
  FOREIGN KEY (id, n) REFERENCES fk_parent (id, n) ON UPDATE CASCADE);
${truncated.map((table) => `CREATE TABLE ${table} (id int, n int NOT NULL);`).join('\n')}
${quiet.map((table) => `CREATE TABLE ${table} (id int, n int NOT NULL);`).join('\n')}
CREATE VIEW truncated AS ${truncated.map((table) => `SELECT * FROM ${table}`).join(' UNION ALL ')};
CREATE VIEW plain_too AS SELECT id, n FROM plain;
`;

const createReach = `
CREATE FUNCTION copy_to() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN EXECUTE format('UPDATE %I SET n = $1 WHERE id = $2', TG_ARGV[0]) USING NEW.n, NEW.id; RETURN NULL; END $$;
CREATE FUNCTION copy_trig() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN UPDATE trig_dst SET n = NEW.n WHERE id = NEW.id; RETURN NULL; END $$;
CREATE TRIGGER t AFTER UPDATE ON trig_src FOR EACH ROW EXECUTE FUNCTION copy_trig();
CREATE CONSTRAINT TRIGGER t AFTER UPDATE ON defer_src DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION copy_to('defer_dst');
CREATE RULE r AS ON UPDATE TO rule_src DO ALSO UPDATE rule_dst SET n = NEW.n WHERE id = NEW.id;
CREATE VIEW inst AS SELECT id, n FROM inst_base;
CREATE FUNCTION instead() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN UPDATE inst_base SET n = greatest(n, NEW.n) WHERE id = NEW.id; RETURN NEW; END $$;
CREATE TRIGGER t INSTEAD OF UPDATE ON inst FOR EACH ROW EXECUTE FUNCTION instead();
CREATE FUNCTION set_called(k int, v int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN UPDATE called SET n = greatest(n, v) WHERE id = k; RETURN v; END $$;
CREATE FUNCTION set_called_sql(k int, v int) RETURNS int LANGUAGE sql
  AS $$ UPDATE called SET n = greatest(n, v) WHERE id = k RETURNING n $$;
CREATE FUNCTION looks_stable(k int, v int) RETURNS int STABLE LANGUAGE plpgsql AS $$ BEGIN RETURN set_called(k, v); END $$;
CREATE FUNCTION looks_harmless(k int, v int) RETURNS int STABLE LANGUAGE sql AS $$ SELECT looks_stable(k, v) $$;
CREATE PROCEDURE commits_inside(k int, v int) LANGUAGE plpgsql AS $$
BEGIN
  UPDATE called SET n = greatest(n, v - 1) WHERE id = k; COMMIT;
  UPDATE called SET n = greatest(n, v) WHERE id = k; COMMIT;
END $$;
`;

const fill = (table: string): string =>
  `INSERT INTO ${table} (id, n) SELECT i, 0 FROM generate_series(0, ${slots - 1}) i;`;

const createRows = `
${[...ordinary, 'part', 'fk_parent', 'fk_child']
  .filter((table) => table !== 'inherited')
  .map(fill)
  .join('\n')}
${fill('inherited_child')}
${[truncated, quiet].flatMap((of) => of.map((table, slot) => `INSERT INTO ${table} VALUES (${slot}, 0);`)).join('\n')}
CREATE MATERIALIZED VIEW mat_dst AS SELECT id, n FROM mat_src;
CREATE UNIQUE INDEX ON mat_dst (id);
`;

/** For each table a view, and functions that read it and seem to depend on nothing. */
const createReaders = `
${tables
  .map(
    (table) => `
CREATE VIEW view_${table} AS SELECT id, n FROM (SELECT id, n FROM ${table}) AS inner_query;
CREATE FUNCTION sql_${table}(k int) RETURNS int STABLE LANGUAGE sql AS $$ SELECT max(n) FROM ${table} WHERE id = k $$;
CREATE FUNCTION pl_${table}(k int) RETURNS int STABLE LANGUAGE plpgsql AS $$
  BEGIN RETURN (SELECT max(n) FROM view_${table} WHERE id = k); END $$;
CREATE FUNCTION volatile_${table}(k int) RETURNS int LANGUAGE plpgsql AS $$
  BEGIN RETURN (SELECT max(n) FROM ${table} WHERE id = k); END $$;`,
  )
  .join('\n')}
`;

export const schema = createTables + createReach + createRows + createReaders;

/** What one read form returns: a register or two of them that must be equal; `zoned`: also the session's time zone. */
export interface Form {
  readonly name: string;
  readonly first: Table;
  readonly second: Table | undefined;
  readonly isZoned: boolean;
  /** Its second column is the time at which it was computed, ms: never earlier than it was asked for. */
  readonly isMomentary?: boolean;
  /** Counts as a write of everything: asked for now and then only, or no replica would ever be far enough. */
  readonly isRare?: boolean;
  readonly text: (slot: string) => string;
}

/** `read only` is no text of its own: some of the others are asked in READ ONLY transactions. */
export type FormKind =
  'table' | 'view' | 'uncached' | 'function' | 'volatile' | 'zoned' | 'moment' | 'heavy' | 'read only';
export const formKinds: readonly FormKind[] = [
  'table',
  'view',
  'uncached',
  'function',
  'volatile',
  'zoned',
  'moment',
  'heavy',
  'read only',
];

/** Written around Weir: answers must not live long, or are not kept at all. */
const hints: Partial<Record<Table, string>> = {
  around: '/* weir: cache=2s */ ',
  beside: '/* weir: cache=off */ ',
};
export const writtenAround: readonly Table[] = ['around', 'beside'];

function formsOfTable(table: Table): Record<FormKind, Form[]> {
  const form = (name: string, text: Form['text']): Form => ({
    name: `${name} ${table}`,
    first: table,
    second: undefined,
    isZoned: false,
    text: (slot) => (hints[table] ?? '') + text(slot),
  });
  return {
    table: [
      form('select', (slot) => `SELECT max(n) FROM ${table} WHERE id = ${slot}`),
      form('row', (slot) => `SELECT n FROM ${table} WHERE id = ${slot} ORDER BY n DESC LIMIT 1`),
      form('with', (slot) => `WITH t AS (SELECT max(n) AS n FROM ${table} WHERE id = ${slot}) SELECT n FROM t`),
    ],
    view: [form('view', (slot) => `SELECT max(n) FROM view_${table} WHERE id = ${slot}`)],
    // What a session reads past the cache it must not lose again in it.
    uncached: writtenAround.includes(table)
      ? []
      : [form('uncached', (slot) => `/* weir: cache=off */ SELECT max(n) FROM ${table} WHERE id = ${slot}`)],
    function: [
      form('sql function', (slot) => `SELECT sql_${table}(${slot})`),
      form('plpgsql function', (slot) => `SELECT pl_${table}(${slot})`),
    ],
    volatile: [{ ...form('volatile function', (slot) => `SELECT volatile_${table}(${slot})`), isRare: true }],
    zoned: [],
    moment: [],
    heavy: [],
    'read only': [],
  };
}

function formsOfPair([first, second]: readonly [Table, Table]): Form[] {
  const form = (name: string, text: Form['text']): Form => {
    return { name: `${name} ${first} and ${second}`, first, second, isZoned: false, text };
  };
  return [
    form('join', (slot) => `SELECT a.n, b.n FROM ${first} a JOIN ${second} b ON a.id = b.id WHERE a.id = ${slot}`),
    form(
      'union',
      (slot) =>
        `SELECT max(n) FILTER (WHERE w = 1), max(n) FILTER (WHERE w = 2) FROM (SELECT 1 AS w, id, n FROM ${first} UNION ALL SELECT 2, id, n FROM ${second}) t WHERE id = ${slot}`,
    ),
  ];
}

const zoned: Form = {
  name: 'zoned plain',
  first: 'plain',
  second: undefined,
  isZoned: true,
  text: (slot) => `SELECT n, to_char(at, 'TZH') FROM plain WHERE id = ${slot}`,
};

/** By a function, and by a text that means another time whenever it is read. */
const moments: readonly Form[] = ['statement_timestamp()', 'word::timestamptz'].map((moment) => ({
  name: `${moment} plain`,
  first: 'plain',
  second: undefined,
  isZoned: false,
  isMomentary: true,
  text: (slot) => `SELECT n, floor(extract(epoch FROM ${moment}) * 1000)::bigint FROM plain WHERE id = ${slot}`,
}));

/** Takes long enough for somebody to write, and for others to ask the same, meanwhile. */
const heavyOf = (rows: number): Form => ({
  name: 'heavy plain',
  first: 'plain',
  second: undefined,
  isZoned: false,
  text: (slot) => `SELECT max(n) FROM plain CROSS JOIN generate_series(1, ${rows}) WHERE id = ${slot}`,
});

/** 20,000 rows take about as long as a write; more cost a long run most of its reads. */
export function formsOf(kinds: ReadonlySet<FormKind>, heavyRows = 20_000): Form[] {
  const forms = tables.flatMap((table) => {
    const of = formsOfTable(table);
    return formKinds.flatMap((kind) => (kinds.has(kind) ? of[kind] : []));
  });
  return [
    ...forms,
    ...together.flatMap(formsOfPair),
    ...(kinds.has('zoned') ? [zoned] : []),
    ...(kinds.has('moment') ? moments : []),
    ...(kinds.has('heavy') ? [heavyOf(heavyRows)] : []),
  ];
}
