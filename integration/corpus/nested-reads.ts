/** Functions that read the table "hidden", in every language and volatility, and ways to have them called. */
export interface Reading {
  readonly name: string;
  readonly sql: string;
}
export interface Kind {
  readonly language: 'sql' | 'plpgsql' | 'dynamic' | 'atomic';
  readonly volatility: 'immutable' | 'stable' | 'volatile';
}

export const kinds: readonly Kind[] = (['sql', 'plpgsql', 'dynamic', 'atomic'] as const).flatMap((language) =>
  (['immutable', 'stable', 'volatile'] as const).map((volatility) => ({ language, volatility })),
);
/** No two are called the same in anything: a body's words count for whatever is called so. */
const VOLATILITY_SIGN = { immutable: '+', stable: '*', volatile: '-' } as const;
const LANGUAGE_SIGN = { sql: '#', plpgsql: '&', dynamic: '%', atomic: '!' } as const;
const symbolOf = ({ language, volatility }: Kind): string =>
  `@${VOLATILITY_SIGN[volatility]}${LANGUAGE_SIGN[language]}@`;
const schemaName = ({ language, volatility }: Kind): string => `${language}_${volatility}`;

export function readingsOf(id: Kind): readonly Reading[] {
  const s = schemaName(id);
  const calls: readonly (readonly [caller: string, sql: string])[] = [
    ['query', `SELECT o.n, ${s}.leaf_${s}() AS hidden FROM other o`],
    ['no table', `SELECT ${s}.leaf_${s}()`],
    ['nested once', `SELECT o.n, ${s}.one_${s}() AS hidden FROM other o`],
    ['nested twice', `SELECT o.n, ${s}.two_${s}() AS hidden FROM other o`],
    ['SQL wrapper', `SELECT o.n, ${s}.wrapper_${s}() AS hidden FROM other o`],
    ['FROM', `SELECT * FROM other, ${s}.wrapper_${s}() w`],
    ['view', `SELECT * FROM ${s}.view_${s}`],
    ['operator', `SELECT o.n, o.n OPERATOR(${s}.${symbolOf(id)}) 1 AS hidden FROM other o`],
    ['cast', `SELECT o.n, (o.n::${s}.target_${s}).n AS hidden FROM other o`],
    ['aggregate', `SELECT ${s}.total_${s}(o.n) FROM other o`],
    ['argument default', `SELECT o.n, ${s}.defaulting_${s}() AS hidden FROM other o`],
    ['policy', `SELECT n FROM ${s}.secured_${s}`],
    ['now', `SELECT o.n, ${s}.one_${s}() AS hidden, now() > '2000-01-01' FROM other o`],
    ['view of table and now', `SELECT hidden.n FROM hidden WHERE now() > '2000-01-01'`],
  ];
  return calls.map(([caller, sql]) => ({ name: `${id.language} ${id.volatility} by ${caller}`, sql }));
}

function body({ language, volatility }: Kind): string {
  switch (language) {
    case 'sql':
      return `LANGUAGE sql ${volatility} AS $$ SELECT n FROM public.hidden $$`;
    case 'atomic':
      return `LANGUAGE sql ${volatility} BEGIN ATOMIC SELECT n FROM public.hidden; END`;
    case 'plpgsql':
      return `LANGUAGE plpgsql ${volatility} AS $$ BEGIN RETURN (SELECT n FROM public.hidden); END $$`;
    case 'dynamic':
      return `LANGUAGE plpgsql ${volatility} AS $$ DECLARE r int; BEGIN EXECUTE 'SELECT n FROM public.hid' || 'den' INTO r; RETURN r; END $$`;
  }
}

export function readingSchema(kind: Kind): string {
  const s = schemaName(kind);
  const v = kind.volatility;
  const f = (name: string, result: string): string =>
    `CREATE OR REPLACE FUNCTION ${s}.${name} RETURNS int LANGUAGE plpgsql ${v} AS $$ BEGIN RETURN ${result}; END $$;`;
  return `
    CREATE SCHEMA IF NOT EXISTS ${s}; GRANT USAGE ON SCHEMA ${s} TO PUBLIC;
    CREATE OR REPLACE FUNCTION ${s}.leaf_${s}() RETURNS int ${body(kind)};
    ${f(`one_${s}()`, `${s}.leaf_${s}()`)} ${f(`two_${s}()`, `${s}.one_${s}()`)} ${f(`op_${s}(int, int)`, `${s}.one_${s}()`)}
    CREATE OR REPLACE FUNCTION ${s}.wrapper_${s}() RETURNS int LANGUAGE sql ${v} AS $$ SELECT ${s}.two_${s}() $$;
    ${f(`defaulting_${s}(i int DEFAULT ${s}.leaf_${s}())`, 'i')}
    CREATE VIEW ${s}.view_${s} AS SELECT ${s}.wrapper_${s}() AS n;
    CREATE OPERATOR ${s}.${symbolOf(kind)} (FUNCTION = ${s}.op_${s}, LEFTARG = int, RIGHTARG = int);
    CREATE TYPE ${s}.target_${s} AS (n int);
    CREATE FUNCTION ${s}.make_${s}(int) RETURNS ${s}.target_${s} LANGUAGE plpgsql ${v} AS $$ BEGIN RETURN row(${s}.leaf_${s}()); END $$;
    CREATE CAST (int AS ${s}.target_${s}) WITH FUNCTION ${s}.make_${s}(int);
    CREATE FUNCTION ${s}.step_${s}(int, int) RETURNS int LANGUAGE plpgsql ${v} AS $$ BEGIN RETURN ${s}.leaf_${s}(); END $$;
    CREATE AGGREGATE ${s}.total_${s}(int) (SFUNC = ${s}.step_${s}, STYPE = int, INITCOND = '0');
    CREATE TABLE ${s}.secured_${s} (n int); INSERT INTO ${s}.secured_${s} SELECT generate_series(0, 1000);
    ALTER TABLE ${s}.secured_${s} ENABLE ROW LEVEL SECURITY;
    CREATE POLICY p ON ${s}.secured_${s} USING (n = ${s}.op_${s}(1, 1));
    GRANT ALL ON ALL TABLES IN SCHEMA ${s} TO PUBLIC;`;
}
