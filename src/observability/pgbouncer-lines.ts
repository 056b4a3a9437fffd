/**
 * Log lines as PgBouncer prints them: "2026-12-01 00:17:20.884 UTC [25004] LOG message". For `log.format: pgbouncer`; called by
 * logger.ts with the JSON lines of pino. Fields are left out, as there are none in PgBouncer's log.
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
  const lines = [...(event === 'pool_resize' ? reserveLines(fields) : []), String(msg)];
  const start = `${at} [${pid}] ${levels[level] ?? 'LOG'} `;
  return lines.map((line) => `${start}${line.replaceAll(/[\r\n]+/g, ' ')}\n`).join('');
}

/** PgBouncer says it of each connection beyond the size of a pool. */
function reserveLines({ reason, database, user, from, to }: Fields): string[] {
  const count = reason === 'reserve' ? Math.max(0, Number(to) - Number(from)) : 0;
  return Array<string>(count).fill(`${database}/${user}: taking connection from reserve_pool`);
}
