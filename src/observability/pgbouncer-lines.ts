/**
 * Log lines as PgBouncer prints them: "2026-12-01 00:17:20.884 UTC [25004] LOG message". For `log.format: pgbouncer`; called by
 * logger.ts with the JSON lines of pino. Fields are left out, as there are none in PgBouncer's log, but for those of statements.
 */

const levels: Readonly<Record<string, string>> = { debug: 'DEBUG', info: 'LOG', warn: 'WARNING', error: 'ERROR' };

/** The connection log says the same in PgBouncer's words. */
const left = new Set(['login_refused', 'login_abandoned']);

type Fields = Readonly<Record<string, string | number | undefined>>;

/** @returns '' for a line that is left out */
export function pgbouncerLine(json: string, pid: number): string {
  const fields = JSON.parse(json) as Fields;
  const { level = '', time = '', event, msg = '' } = fields;
  if (typeof event === 'string' && left.has(event)) return '';
  const at = String(time).replace('T', ' ').replace(/Z$/, ' UTC');
  const words =
    event === 'slow_statement' || event === 'statement' ? statementWords(fields) : wordsOf(event, String(msg));
  const lines = [...(event === 'pool_resize' ? reserveLines(fields) : []), words];
  const start = `${at} [${pid}] ${levels[level] ?? 'LOG'} `;
  return lines.map((line) => `${start}${line.replaceAll(controlCharacters, ' ')}\n`).join('');
}

const controlCharacters = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g;

const ofStatement = ['wait_ms', 'server_ms', 'rows', 'node', 'error', 'trace_id', 'query_id'] as const;

/** Without its fields, the line of a statement (statements/log.ts) would not say which. */
function statementWords(fields: Fields): string {
  const { database, user, msg, application_name: application, query } = fields;
  const known = ofStatement.flatMap((name) => (fields[name] === undefined ? [] : [`${name}=${fields[name]}`]));
  if (application !== undefined && application !== '') known.push(`application_name="${application}"`);
  return `${database}/${user}: ${msg}: ${known.join(' ')} query: ${query}`;
}

/** The monitor notices first that a server cannot be reached, where PgBouncer has nothing but its pools. */
function wordsOf(event: Fields[string], message: string): string {
  const [, node, why = ''] = (event === 'node_problem' ? /^(.*?): (cannot connect: .*)$/s.exec(message) : null) ?? [];
  return node === undefined ? message : `${node} closing because: ${transportWords(why)} (${why})`;
}

/** PgBouncer says it of each connection beyond the size of a pool. */
function reserveLines({ reason, database, user, from, to }: Fields): string[] {
  const count = reason === 'reserve' ? Math.max(0, Number(to) - Number(from)) : 0;
  return Array<string>(count).fill(`${database}/${user}: taking connection from reserve_pool`);
}

/** @param message of a log-in during which the server has said nothing */
export function transportWords(message: string): string {
  if (/\b(?:ENOTFOUND|EAI_AGAIN)\b/.test(message)) return 'server DNS lookup failed';
  if (message.startsWith('timed out')) return 'connect timeout';
  // OpenSSL's words, where Node says only why.
  const untrusted = /^TLS with the server failed: (.*(?:certificate|altnames).*)$/s.exec(message)?.[1];
  if (untrusted !== undefined) return `TLS handshake failed: certificate verify failed: ${untrusted}`;
  return message.startsWith('cannot connect') ? 'connect failed' : message;
}
