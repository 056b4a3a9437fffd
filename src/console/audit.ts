/**
 * The audit of the admin console: one line of the log for each command, with who ran it, from where, its words and its
 * outcome. Secrets are left out. What only reads is logged with level debug, because exporters read all the time. Called by
 * console.ts.
 */
import { WeirError, type LogLevel } from '../errors/errors.ts';
import type { Log } from '../observability/types.ts';
import type { Role } from './types.ts';

export interface Operator {
  readonly user: string;
  /** The name of the console that it has opened: `weir` or `pgbouncer`. */
  readonly database: string;
  /** Its address and port. */
  readonly client: string;
}

export interface Audit {
  /** A command that may wait for long has begun. */
  begun(command: Audited, by: Operator): void;
  done(command: Audited, by: Operator): void;
  refused(command: Audited, by: Operator, why: Error): void;
}

export interface Audited {
  /** Undefined: nobody knows such a command. */
  readonly role: Role | undefined;
  /** As the operator wrote it. */
  readonly text: string;
}

const longestShown = 500;
/** No more is looked at. */
const longestRead = 4_000;
/** SET of one of these, whatever the value is. */
const secretKey =
  /^(set\s+(?:"[^"]*|\S*)(?:pass(?:word|wd)?|secret|token|credential)[^\s"=]*"?\s*(?:=|\bto\b)\s*)(.*)$/is;

/** From the scheme to the last @: a password may have any character. And what follows the question mark of a URL. */
const inUrl = /([a-z][a-z0-9+.-]*:\/\/(?:[^\s:/?#@"']*:)?)[^"']*@|([a-z][a-z0-9+.-]*:\/\/[^\s?"']*\?)[^\s"']*/gi;
/** A string constant of SQL, also one that does not end. */
const constant = /\be'(?:[^'\\]|\\.|'')*'?|'(?:[^']|'')*'?|(\$[\p{L}_]*\$)(?:(?!\1).)*(?:\1)?/giu;

/**
 * The words of a command in one line, without secrets and without the SQL that is only explained.
 * @param isKnown false: it may be SQL that was meant for a database, so no constant is shown
 */
export function wordsOf(text: string, isKnown = true): string {
  const line = text.slice(0, longestRead).replaceAll(/\s+/g, ' ').trim();
  const explained = /^explain\s+route\b/i.exec(line)?.[0];
  if (explained !== undefined) return `${explained} ...`;
  const own = isKnown ? line.replace(secretKey, "$1'***'") : line.replace(constant, "'***'");
  const words = own.replace(inUrl, (_found, before?: string, query?: string) =>
    query === undefined ? `${before}***@` : `${query}***`,
  );
  return words.length > longestShown ? `${words.slice(0, longestShown)}...` : words;
}

/**
 * @param log for what was refused, and what only reads: may leave out repeated lines
 * @param whole for what changes something: leaves out none
 */
export function createAudit(log: Log, whole: Log): Audit {
  const say = (level: LogLevel, { role, text }: Audited, by: Operator, outcome: string, why?: Error): void => {
    const command = wordsOf(text, role !== undefined);
    const { user, database, client } = by;
    const because = why === undefined ? '' : `: ${why.message}`;
    const fields = {
      ...{ user, client, database, command, outcome },
      ...(why === undefined ? {} : { why: why.message, sqlstate: why instanceof WeirError ? why.sqlstate : undefined }),
    };
    const write = role === 'admin' && outcome !== 'refused' ? whole : log;
    write(level, 'console_command', `${user} at ${client}: ${command}: ${outcome}${because}`, fields);
  };
  const levelOf = ({ role }: Audited): LogLevel => (role === 'admin' ? 'info' : 'debug');
  return {
    begun: (command, by) => say(levelOf(command), command, by, 'begun'),
    done: (command, by) => say(levelOf(command), command, by, 'done'),
    refused: (command, by, why) => say('warn', command, by, 'refused', why),
  };
}
