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
/** SET of one of these, whatever the value is. */
const secretKey =
  /^(set\s+(?:"[^"]*|\S*)(?:pass(?:word|wd)?|secret|token|credential)[^\s"=]*"?\s*(?:=|\bto\b)\s*)(.*)$/is;

/** The words of a command in one line, without secrets and without the SQL that is only explained. */
export function wordsOf(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ').trim();
  const explained = /^explain\s+route\b/i.exec(line)?.[0];
  const words = explained === undefined ? line.replace(secretKey, "$1'***'") : `${explained} ...`;
  return words.length > longestShown ? `${words.slice(0, longestShown)}...` : words;
}

/**
 * @param log for what was refused, and what only reads: may leave out repeated lines
 * @param whole for what changes something: leaves out none
 */
export function createAudit(log: Log, whole: Log): Audit {
  const say = (level: LogLevel, { role, text }: Audited, by: Operator, outcome: string, why?: Error): void => {
    const command = wordsOf(text);
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
