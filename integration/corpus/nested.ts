/**
 * Functions that leave something in their session, in every language and volatility, and every way to have one called
 * that a text need not show. Each leaf has a schema of its own.
 */
export type Volatility = 'immutable' | 'stable' | 'volatile';

export interface Leaf {
  readonly id: number;
  readonly language: 'sql' | 'plpgsql' | 'dynamic' | 'atomic' | 'internal' | 'plperl';
  readonly volatility: Volatility;
  readonly state: string;
  /** Its source shows what it leaves, so that its own client is promised to keep it. */
  readonly isPlain: boolean;
}

/** Made by an expression: also functions that are not volatile can. */
const EXPRESSIONS: Readonly<Record<string, string>> = {
  setting: `pg_catalog.set_config('app.tenant', 'one', false)`,
  search_path: `pg_catalog.set_config('search_path', 'pg_catalog', false)`,
  statement_timeout: `pg_catalog.set_config('statement_timeout', '77s', false)`,
  role: `pg_catalog.set_config('role', 'ROLE', false)`,
  lock: `pg_catalog.pg_advisory_lock(4711)`,
  sequence: `pg_catalog.nextval('public.counter')`,
};
/** Made by statements: only of volatile functions in PL/pgSQL. */
const STATEMENTS: Readonly<Record<string, string>> = {
  'temporary table': 'CREATE TEMP TABLE left_behind (i int)',
  channel: 'LISTEN left_behind',
  SET: `SET app.tenant = 'one'`,
};

const volatilities: readonly Volatility[] = ['immutable', 'stable', 'volatile'];

export const leaves: readonly Leaf[] = allLeaves();

function allLeaves(): Leaf[] {
  const all: Omit<Leaf, 'id'>[] = [];
  for (const volatility of volatilities) {
    for (const state of Object.keys(EXPRESSIONS)) {
      for (const language of ['sql', 'plpgsql', 'dynamic', 'atomic'] as const)
        all.push({ language, volatility, state, isPlain: language !== 'dynamic' });
    }
    all.push({ language: 'internal', volatility, state: 'setting', isPlain: false });
    all.push({ language: 'plperl', volatility, state: 'setting', isPlain: false });
  }
  for (const state of Object.keys(STATEMENTS)) {
    for (const language of ['plpgsql', 'dynamic'] as const)
      all.push({ language, volatility: 'volatile', state, isPlain: language !== 'dynamic' });
  }
  return all.map((leaf, id) => ({ ...leaf, id }));
}

/** A literal that shows none of its words. */
const scattered = (text: string): string =>
  (text.match(/.{1,3}/gs) ?? []).map((part) => `'${part.replaceAll("'", "''")}'`).join(' || ');

function leafBody({ language, volatility, state }: Leaf, role: string): string {
  const expression = EXPRESSIONS[state]?.replace('ROLE', role);
  const statement = STATEMENTS[state];
  switch (language) {
    case 'sql':
      return `LANGUAGE sql ${volatility} AS $$ SELECT 1 FROM (SELECT ${expression} OFFSET 0) x $$`;
    case 'atomic':
      return `LANGUAGE sql ${volatility} BEGIN ATOMIC SELECT 1 FROM (SELECT ${expression} OFFSET 0) x; END`;
    case 'plpgsql':
      return `LANGUAGE plpgsql ${volatility} AS $$ BEGIN ${statement ?? `PERFORM ${expression}`}; RETURN 1; END $$`;
    case 'dynamic':
      return `LANGUAGE plpgsql ${volatility} AS $$ BEGIN EXECUTE ${scattered(statement ?? `SELECT ${expression}`)}; RETURN 1; END $$`;
    case 'plperl':
      return `LANGUAGE plperl ${volatility} AS $$ spi_exec_query("SELECT set_" . "config('app.tenant', 'one', false)"); return 1; $$`;
    case 'internal':
      return `LANGUAGE sql ${volatility} AS $$ SELECT 1 FROM (SELECT SCHEMA.own('app.tenant', 'one', false) OFFSET 0) x $$`;
  }
}

/** Names of operators are all that the text shows of them: one for each volatility, so that none speaks for another. */
const SYMBOLS: Readonly<Record<Volatility, string>> = { immutable: '<+>', stable: '<*>', volatile: '<->' };

export function schemaOf(leaf: Leaf, role: string): string {
  const s = `leaf${leaf.id}`;
  const { volatility: v, language } = leaf;
  const f = (name: string, call: string): string =>
    `CREATE FUNCTION ${s}.${name} RETURNS int LANGUAGE plpgsql ${v} AS $$ BEGIN RETURN ${call}; END $$;`;
  const own =
    language === 'internal'
      ? `CREATE FUNCTION ${s}.own(text, text, boolean) RETURNS text LANGUAGE internal ${v} AS 'set_config_by_name';`
      : '';
  const indexed = v === 'immutable' ? indexes(s) : '';
  return `
    CREATE SCHEMA ${s}; GRANT USAGE ON SCHEMA ${s} TO PUBLIC;
    ${own} CREATE FUNCTION ${s}.leaf() RETURNS int ${leafBody(leaf, role).replace('SCHEMA', s)};
    ${f('one()', `${s}.leaf()`)} ${f('two()', `${s}.one()`)} ${f('op(int, int)', `${s}.one()`)}
    CREATE FUNCTION ${s}.wrapper() RETURNS int LANGUAGE sql ${v} AS $$ SELECT ${s}.two() $$;
    ${f('defaulting(i int DEFAULT ' + `${s}.leaf())`, 'i')}
    CREATE VIEW ${s}.view AS SELECT ${s}.leaf() AS n;
    CREATE VIEW ${s}.far AS SELECT ${s}.wrapper() AS n;
    CREATE OPERATOR ${s}.${SYMBOLS[v]} (FUNCTION = ${s}.op, LEFTARG = int, RIGHTARG = int);
    CREATE TYPE ${s}.target AS (n int);
    CREATE FUNCTION ${s}.make(int) RETURNS ${s}.target LANGUAGE plpgsql ${v} AS $$ BEGIN RETURN row(${s}.leaf()); END $$;
    CREATE CAST (int AS ${s}.target) WITH FUNCTION ${s}.make(int);
    CREATE DOMAIN ${s}.checked AS int CHECK (${s}.op(VALUE, 1) = 1);
    CREATE TABLE ${s}.defaults (i int, n int DEFAULT ${s}.leaf());
    CREATE TABLE ${s}.checks (n int CHECK (${s}.op(n, 1) = 1));
    CREATE TABLE ${s}.domains (n ${s}.checked);
    CREATE TABLE ${s}.secured (n int); INSERT INTO ${s}.secured VALUES (1); ALTER TABLE ${s}.secured ENABLE ROW LEVEL SECURITY;
    CREATE POLICY p ON ${s}.secured USING (${s}.op(n, n) = 1);
    CREATE TABLE ${s}.triggered (n int);
    CREATE FUNCTION ${s}.fired() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM ${s}.two(); RETURN NEW; END $$;
    CREATE TRIGGER fire BEFORE INSERT ON ${s}.triggered FOR EACH ROW EXECUTE FUNCTION ${s}.fired();
    CREATE TABLE ${s}.ruled (n int);
    CREATE RULE also AS ON INSERT TO ${s}.ruled DO ALSO SELECT ${s}.leaf();
    CREATE FUNCTION ${s}.step(int, int) RETURNS int LANGUAGE plpgsql ${v} AS $$ BEGIN RETURN ${s}.leaf(); END $$;
    CREATE AGGREGATE ${s}.total(int) (SFUNC = ${s}.step, STYPE = int, INITCOND = '0');
    CREATE PROCEDURE ${s}.proc() LANGUAGE plpgsql AS $$ BEGIN PERFORM ${s}.two(); END $$;
    CREATE TABLE ${s}.rows (n int); INSERT INTO ${s}.rows VALUES (1);
    CREATE FUNCTION public.col${leaf.id}(${s}.rows) RETURNS int LANGUAGE plpgsql ${v} AS $$ BEGIN RETURN ${s}.leaf(); END $$;
    ${indexed}
    GRANT ALL ON ALL TABLES IN SCHEMA ${s} TO PUBLIC;`;
}

const indexes = (s: string): string => `
  CREATE TABLE ${s}.indexed (n int); CREATE INDEX ON ${s}.indexed (${s}.op(n, n));
  CREATE TABLE ${s}.generated (n int, g int GENERATED ALWAYS AS (${s}.op(n, n)) STORED);
  CREATE TABLE ${s}.parts (n int) PARTITION BY RANGE (${s}.op(n, n));
  CREATE TABLE ${s}.part PARTITION OF ${s}.parts FOR VALUES FROM (0) TO (9);`;

/** Behind what may have changed the catalog it is read again, which takes time: of those there are a few only. */
function isWorthIt(caller: string, { language, volatility, state }: Leaf): boolean {
  if (caller === 'DO') return state === 'setting';
  return language !== 'dynamic' || volatility !== 'volatile' || /^(?:query|nested twice|trigger)$/.test(caller);
}

export function callers(leaf: Leaf): (readonly [caller: string, sql: string])[] {
  const { id, volatility } = leaf;
  const s = `leaf${id}`;
  const some: (readonly [string, string])[] = [
    ['query', `SELECT ${s}.leaf()`],
    ['nested once', `SELECT ${s}.one()`],
    ['nested twice', `SELECT ${s}.two()`],
    ['SQL wrapper', `SELECT ${s}.wrapper()`],
    ['argument default', `SELECT ${s}.defaulting()`],
    ['view', `SELECT * FROM ${s}.view`],
    ['view of wrapper', `SELECT * FROM ${s}.far`],
    ['operator', `SELECT 1 OPERATOR(${s}.${SYMBOLS[volatility]}) 1`],
    ['cast', `SELECT (1::${s}.target)::text`],
    ['domain cast', `SELECT 1::${s}.checked`],
    ['column default', `INSERT INTO ${s}.defaults (i) VALUES (1)`],
    ['check', `INSERT INTO ${s}.checks VALUES (1)`],
    ['domain column', `INSERT INTO ${s}.domains VALUES (1)`],
    ['policy', `SELECT * FROM ${s}.secured`],
    ['trigger', `INSERT INTO ${s}.triggered VALUES (1)`],
    ['rule', `INSERT INTO ${s}.ruled VALUES (1)`],
    ['aggregate', `SELECT ${s}.total(n) FROM ${s}.rows`],
    ['window', `SELECT ${s}.total(n) OVER () FROM ${s}.rows`],
    ['column notation', `SELECT r.col${id} FROM ${s}.rows r`],
    ['CALL', `CALL ${s}.proc()`],
    ['DO', `DO 'BEGIN PERFORM ${s}.two(); END'`],
    ['EXPLAIN', `EXPLAIN SELECT * FROM ${s}.rows WHERE n = ${s}.two()`],
  ];
  const all: typeof some =
    volatility !== 'immutable'
      ? some
      : [
          ...some,
          ['index', `INSERT INTO ${s}.indexed VALUES (1)`],
          ['generated column', `INSERT INTO ${s}.generated VALUES (1)`],
          ['partition key', `INSERT INTO ${s}.parts VALUES (1)`],
        ];
  return all.filter(([caller]) => isWorthIt(caller, leaf));
}
