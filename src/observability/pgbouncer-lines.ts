/**
 * Log lines as PgBouncer prints them: "2026-12-01 00:17:20.884 UTC [25004] LOG message". For `log.format: pgbouncer`; called by
 * logger.ts with the JSON lines of pino. Fields are left out, as there are none in PgBouncer's log.
 */

const levels: Readonly<Record<string, string>> = { debug: 'DEBUG', info: 'LOG', warn: 'WARNING', error: 'ERROR' };

/** The connection log says the same in PgBouncer's words. */
const left = new Set(['login_refused', 'login_abandoned']);

/** @returns '' for a line that is left out */
export function pgbouncerLine(json: string, pid: number): string {
  const { level = '', time = '', event, msg = '' } = JSON.parse(json) as Readonly<Record<string, string | undefined>>;
  if (event !== undefined && left.has(event)) return '';
  const at = time.replace('T', ' ').replace(/Z$/, ' UTC');
  return `${at} [${pid}] ${levels[level] ?? 'LOG'} ${msg.replaceAll(/[\r\n]+/g, ' ')}\n`;
}
