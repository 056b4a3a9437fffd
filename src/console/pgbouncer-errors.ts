/**
 * The errors of the console on database `pgbouncer`: PgBouncer's words and SQLSTATE, which scripts compare, with what Weir says
 * as DETAIL. Called by console.ts.
 */
import { WeirError } from '../errors/errors.ts';

/** @param command its name in commands.ts; undefined: nobody knows such a command */
export function asPgbouncer(error: WeirError, command: string | undefined, text: string): WeirError {
  const words = wordsFor(error, command, text);
  if (words === undefined) return error;
  const { message, hint } = error;
  const detail = words === message ? error.detail : message;
  const sqlstate = command === 'RELOAD' && error.errorName !== 'not_admin' ? 'F0000' : '08P01';
  return new WeirError('pooler_error', { what: words }, detail, { sqlstate, hint });
}

function wordsFor(error: WeirError, command: string | undefined, text: string): string | undefined {
  if (error.errorName === 'not_admin') return 'admin access needed';
  if (command === undefined) return syntaxWords(text);
  if (error.errorName !== 'console_refused') return undefined;
  const { message } = error;
  const database = /^there is no database "(.*?)"/.exec(error.message)?.[1];
  if (database !== undefined) return `no such database: ${database}`;
  switch (command) {
    case 'SET':
      return 'SET failed';
    case 'RELOAD':
      return 'RELOAD failed, see logs for additional details';
    case 'RESUME':
      return message.startsWith('Weir is shutting down') ? 'pooler is shutting down' : message;
    case 'PAUSE':
    case 'SUSPEND':
    case 'KILL':
      return message;
    case 'KILL_CLIENT':
      return 'client not found';
    default:
      return undefined;
  }
}

const longestShown = 200;

function syntaxWords(text: string): string {
  if (/^\s*kill_client\b/i.test(text)) return 'invalid client pointer supplied';
  if (/^\s*(?:disable|enable)\s*;?\s*$/i.test(text)) return 'a database is required';
  return `invalid command '${text.slice(0, longestShown)}', use SHOW HELP;`;
}
