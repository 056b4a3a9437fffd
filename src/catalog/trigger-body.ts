/**
 * Recognizes PL/pgSQL trigger functions that change nothing but their own row, such as
 * `NEW.updated_at := now(); RETURN NEW;`. Every word must be in a list; with these words, a body can have no SQL
 * statement, no call of a user function and no change of session state. Called by functions.ts.
 */

const KEYWORDS = new Set(
  `begin end if then elsif elseif else return new old null is not distinct from and or true false in between like ilike
   case when current_timestamp current_date localtimestamp tg_op`.split(/\s+/),
);

/** Built-in functions without side effects. pg_catalog is searched first, so a user function does not hide them. */
const FUNCTIONS = new Set(
  `now clock_timestamp statement_timestamp transaction_timestamp timezone date_trunc extract lower upper initcap trim btrim
   ltrim rtrim coalesce nullif greatest least length char_length md5 gen_random_uuid concat concat_ws replace left right
   regexp_replace to_tsvector setweight round abs row jsonb_build_object to_jsonb`.split(/\s+/),
);

const TYPES = new Set(
  'text varchar citext timestamp timestamptz date uuid int integer bigint numeric boolean jsonb'.split(' '),
);

const TOKEN = /\s+|--[^\n]*|'(?:[^'\\]|'')*'|"(?:[^"]|"")*"|[a-z_][a-z0-9_]*|[0-9]+(?:\.[0-9]+)?|[^\s]/giy;

/** @returns false as well for a body that it does not understand */
export function isHarmlessTriggerBody(source: string): boolean {
  const tokens = (source.match(TOKEN) ?? []).filter((token) => !/^(?:\s|--)/.test(token));
  if (tokens.length === 0 || tokens.join('').length < source.replace(/\s+|--[^\n]*/g, '').length) return false;
  return tokens.every((token, i) => isAllowed(token, tokens[i - 1] ?? '', tokens[i + 1] ?? '', tokens[i - 2] ?? ''));
}

function isAllowed(token: string, before: string, after: string, twoBefore: string): boolean {
  if (/^[a-z_"]/i.test(token)) {
    const word = token.toLowerCase();
    if (before === '.') return /^(?:new|old)$/i.test(twoBefore) && after !== '(' && after !== '.';
    if (token.startsWith('"')) return false;
    if (before === ':') return TYPES.has(word);
    if (after === '(' && FUNCTIONS.has(word)) return true;
    return KEYWORDS.has(word);
  }
  if (/^['0-9]/.test(token)) return true;
  // No $ (dollar quotes), no E'...' (a letter before a quote is a word and refused above), no block comments.
  if (token === '/' && after === '*') return false;
  return '.,;:=<>()+-*/|!~'.includes(token);
}
