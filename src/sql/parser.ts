/**
 * Calls libpg-query, PostgreSQL's parser in WebAssembly. It uses the package's raw module instead of its wrapper, because
 * an instance that was aborted (stack overflow, memory fault) must not be used again: its stack pointer is wrong, and so
 * may be its later results. Such an instance is replaced by a new one; until that is loaded, parse() returns a problem.
 * Called by the classifier only.
 */
import createModule from 'libpg-query/wasm/libpg-query.js';

type Instance = Awaited<ReturnType<typeof createModule>>;

export interface ParseOutcome {
  /** The syntax tree as libpg-query's JSON: { version, stmts: [{ stmt, stmt_location, stmt_len }] }. */
  readonly tree: unknown;
  /** Why there is none, in words. */
  readonly problem: string | undefined;
}

export interface SqlParser {
  /** False while a new instance is being loaded: results of parse() must not be cached then. */
  readonly isReady: boolean;
  /** Never throws. `sql` is not empty and holds no zero byte. */
  parse(sql: string): ParseOutcome;
}

/** Offsets in the C structs PgQueryParseResult { tree, stderr, error } and PgQueryError { message, ... }. */
const ERROR_OFFSET = 8;

export async function loadParser(create: () => Promise<Instance> = createModule): Promise<SqlParser> {
  let instance: Instance | undefined = await create();

  function reload(): void {
    instance = undefined;
    create().then(
      (fresh) => (instance = fresh),
      () => undefined, // parse() goes on answering that there is no parser: everything is unknown, so safe
    );
  }

  function parse(sql: string): ParseOutcome {
    if (instance === undefined) return failed('the parser is being loaded again');
    let json: string;
    try {
      const answer = run(instance, sql);
      if (answer.problem !== undefined) return failed(answer.problem);
      json = answer.json;
    } catch (error) {
      reload();
      return failed(`the parser gave up: ${messageOf(error)}`);
    }
    try {
      return { tree: JSON.parse(json), problem: undefined };
    } catch (error) {
      return failed(`nested too deeply: ${messageOf(error)}`);
    }
  }

  return {
    get isReady() {
      return instance !== undefined;
    },
    parse,
  };
}

/** After an exception from here, the instance must not be used again. */
function run(instance: Instance, sql: string): { json: string; problem: string | undefined } {
  const size = instance.lengthBytesUTF8(sql) + 1;
  const query = instance._malloc(size);
  instance.stringToUTF8(sql, query, size);
  const result = instance._wasm_parse_query_raw(query);
  if (result === 0) throw new Error('out of memory');
  const error = instance.getValue(result + ERROR_OFFSET, 'i32');
  const text = instance.getValue(error === 0 ? result : error, 'i32');
  const words = text === 0 ? '' : instance.UTF8ToString(text);
  instance._wasm_free_parse_result(result);
  instance._free(query);
  if (error !== 0) return { json: '', problem: words === '' ? 'a syntax error' : words };
  return { json: words, problem: undefined };
}

function failed(problem: string): ParseOutcome {
  return { tree: undefined, problem };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
