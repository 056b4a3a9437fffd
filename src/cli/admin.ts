/**
 * Runs commands on the admin console of a running Weir, with the package `pg`. Every error becomes a CommandError with a
 * text for the operator; passwords are never printed. Called by verbs.ts.
 */
import pg from 'pg';
import type { CliIo } from './io.ts';
import { CommandError } from './io.ts';
import type { Cell } from './table.ts';
import { clean } from './text.ts';

export const defaultAdminUrl = 'postgres://127.0.0.1:6432/weir';
const connectTimeoutMs = 10_000;
const numberTypes: ReadonlySet<number> = new Set([20, 21, 23, 26, 700, 701, 1700]);
const booleanType = 16;

export interface AdminColumn {
  readonly name: string;
  /** OID of the type. */
  readonly type: number;
}

export interface AdminResult {
  /** The command tag: SHOW, RESIZE ... */
  readonly tag: string;
  readonly columns: readonly AdminColumn[];
  /** In text format. */
  readonly rows: readonly (readonly Cell[])[];
}

/**
 * The URL of the admin console: `url`, or WEIR_ADMIN_URL, or the default. The database defaults to weir, the user to
 * PGUSER or weir, the password to PGPASSWORD.
 * @throws CommandError
 */
export function adminUrl(url: string | undefined, env: NodeJS.ProcessEnv): URL {
  const text = url ?? (env['WEIR_ADMIN_URL'] || defaultAdminUrl);
  let parsed: URL;
  try {
    parsed = new URL(text);
  } catch {
    throw new CommandError([`the URL of the admin console is no URL: write it as in ${defaultAdminUrl}`]);
  }
  if (parsed.protocol !== 'postgres:' && parsed.protocol !== 'postgresql:') {
    throw new CommandError([`the URL of the admin console is no postgres:// URL: write it as in ${defaultAdminUrl}`]);
  }
  if (parsed.hostname === '') parsed.hostname = '127.0.0.1';
  if (parsed.port === '') parsed.port = '6432';
  if (parsed.username === '') parsed.username = env['PGUSER'] || 'weir';
  // `pg` would use the environment of the process; here the caller passes one.
  if (parsed.password === '') parsed.password = encodeURIComponent(env['PGPASSWORD'] ?? '');
  if (parsed.pathname.replace(/^\//, '') === '') parsed.pathname = '/weir';
  return parsed;
}

/** Writes notices to standard error. Rejects with CommandError. */
export async function connectToConsole(url: URL, io: CliIo): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString: url.href,
    application_name: 'weir cli',
    connectionTimeoutMillis: connectTimeoutMs,
  });
  // Without a listener, the loss of the connection between two commands would end the process.
  client.on('error', () => undefined);
  client.on('notice', (notice) => {
    io.err(`${notice.severity ?? 'NOTICE'}: ${clean(notice.message)}\n`);
    if (notice.detail) io.err(`DETAIL: ${clean(notice.detail)}\n`);
    if (notice.hint) io.err(`HINT: ${clean(notice.hint)}\n`);
  });
  try {
    await client.connect();
  } catch (error) {
    await client.end().catch(() => undefined);
    throw new CommandError(connectionProblem(error, url));
  }
  return client;
}

/** Runs the commands one after the other on one connection. Rejects with CommandError. */
export async function runOnConsole(url: URL, commands: readonly string[], io: CliIo): Promise<AdminResult[]> {
  const client = await connectToConsole(url, io);
  try {
    const results: AdminResult[] = [];
    for (const text of commands) results.push(await runOne(client, text));
    return results;
  } catch (error) {
    throw new CommandError(commandProblem(error));
  } finally {
    await client.end().catch(() => undefined);
  }
}

export async function runOne(client: pg.Client, text: string): Promise<AdminResult> {
  const result = await client.query<Cell[]>({
    text,
    rowMode: 'array',
    // All values are kept as text, for printing.
    types: { getTypeParser: () => (value: string) => value },
  });
  return {
    tag: result.command ?? '',
    columns: result.fields.map((field) => ({ name: field.name, type: field.dataTypeID })),
    rows: result.rows,
  };
}

/** The rows as objects for JSON, with numbers and booleans by the type of the column. */
export function asObjects(result: AdminResult): Record<string, string | number | boolean | null>[] {
  return result.rows.map((row) =>
    Object.fromEntries(
      result.columns.map(({ name, type }, index) => {
        const cell = row[index] ?? null;
        if (cell === null) return [name, null];
        if (numberTypes.has(type) && Number.isFinite(Number(cell))) return [name, Number(cell)];
        if (type === booleanType) return [name, cell === 't' || cell === 'true'];
        return [name, cell];
      }),
    ),
  );
}

interface ErrorFields {
  readonly message?: unknown;
  readonly code?: unknown;
  readonly severity?: unknown;
  readonly detail?: unknown;
  readonly hint?: unknown;
  readonly errors?: unknown;
}

/** The fields of an error; of an AggregateError (attempts by IPv6 and IPv4), those of the last. */
function fieldsOf(error: unknown): ErrorFields {
  if (typeof error !== 'object' || error === null) return { message: String(error) };
  const fields: ErrorFields = error;
  const last: unknown = Array.isArray(fields.errors) ? fields.errors.at(-1) : undefined;
  return last === undefined ? fields : fieldsOf(last);
}

export function commandProblem(error: unknown): string[] {
  const { message, severity, detail, hint } = fieldsOf(error);
  const lines = [`${typeof severity === 'string' ? severity : 'ERROR'}: ${String(message)}`];
  if (typeof detail === 'string') lines.push(`DETAIL: ${detail}`);
  if (typeof hint === 'string') lines.push(`HINT: ${hint}`);
  return lines.map(clean);
}

function connectionProblem(error: unknown, url: URL): string[] {
  const fields = fieldsOf(error);
  const where = `${url.hostname}:${url.port}`;
  if (typeof fields.severity === 'string') {
    const lines = commandProblem(error);
    return fields.code === '28P01' ? [...lines, 'HINT: Give the password in the URL or in PGPASSWORD.'] : lines;
  }
  const message = String(fields.message);
  if (/password must be a (non-empty )?string/i.test(message)) {
    return [
      `Weir at ${where} asks user ${decodeURIComponent(url.username)} for a password: give it in the URL or in PGPASSWORD`,
    ];
  }
  const reason = typeof fields.code === 'string' ? fields.code : message;
  return [`cannot reach Weir at ${where} (${reason}): is it running? --url or WEIR_ADMIN_URL says where it is`];
}
