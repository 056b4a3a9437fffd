/**
 * The admin console without the protocol: parses a text into statements, checks the role of the user and runs them. The
 * commands are in commands.ts; session.ts speaks the protocol. Made once by the app and shared by all console clients.
 */
import { didYouMean } from '../config/suggest.ts';
import { WeirError } from '../errors/errors.ts';
import type { Log } from '../observability/types.ts';
import { createAudit, type Audit, type Operator } from './audit.ts';
import { driverStatement } from './driver-statements.ts';
import { commands } from './commands.ts';
import { Scanner, shorten, syntaxError } from './parse.ts';
import { asPgbouncer } from './pgbouncer-errors.ts';
import { consoleDatabase } from './pgbouncer-rows.ts';
import { asPgbouncerHas } from './pgbouncer-types.ts';
import type { CommandContext, CommandResult, ConsoleColumn, ConsoleCommand, Role, Run } from './types.ts';
import type { ConsoleSources, Gather } from './sources.ts';
import type { StatsPeriod } from './stats-types.ts';
import { createStatsWindow, statsPeriodMs, statsView, type StatsWindow } from './stats-window.ts';

/** One parsed statement. */
export interface ConsoleStatement {
  readonly command: ConsoleCommand;
  /** As the operator wrote it. */
  readonly text: string;
  readonly columns: readonly ConsoleColumn[];
  readonly run: Run;
}

export interface ConsoleUser extends Operator {
  readonly signal: AbortSignal;
}

/** What consoles have counted since the start. */
export interface ConsoleCounts {
  logins: number;
  queries: number;
}

export interface Console {
  readonly sources: ConsoleSources;
  readonly counts: ConsoleCounts;
  /** @returns undefined if the user may not use the console */
  roleOf(user: string): Role | undefined;
  /** @throws WeirError console_syntax if any statement of the text cannot be parsed */
  parse(text: string, by: Operator): ConsoleStatement[];
  /**
   * Runs one statement.
   * @throws WeirError not_console_user, not_admin, console_canceled, or what the command refused; nothing else
   */
  execute(statement: ConsoleStatement, by: ConsoleUser): Promise<CommandResult>;
  /** For the averages of SHOW STATS on the console of another worker. */
  period(): StatsPeriod;
  /** Starts and stops the sampling for the averages of SHOW STATS. */
  start(): void;
  stop(): void;
}

export interface ConsoleOptions {
  readonly sources: ConsoleSources;
  /** The figures and actions of the whole Weir; absent: `sources` are all of it. */
  readonly gather?: Gather | undefined;
  /** The role of a user by the current auth.admin_users and auth.stats_users; undefined: none. */
  roleOf(user: string): Role | undefined;
  /** Monotonic time in ms. */
  readonly nowMs: () => number;
  readonly log: Log;
  /** The log that leaves out no line, for the audit; absent: `log`. */
  readonly wholeLog?: Log;
  /** Where it counts; absent: for itself. */
  readonly counts?: ConsoleCounts;
}

export function createConsole(options: ConsoleOptions): Console {
  const { sources, log, counts = { logins: 0, queries: 0 } } = options;
  const audit = createAudit(log, options.wholeLog ?? log);
  const window = createStatsWindow(sources, () => options.nowMs());
  const unapplied = new Map<string, string>();
  let timer: NodeJS.Timeout | undefined;
  const isWeirSetting = (key: string): boolean => {
    for (const row of sources.settings()) if (row.key === key) return true;
    return false;
  };

  const execute = async (statement: ConsoleStatement, by: ConsoleUser): Promise<CommandResult> => {
    counts.queries++;
    const { command, text } = statement;
    const audited = { role: command.role, text };
    try {
      const result = await runAllowed(statement, by, options, { window, unapplied }, audit);
      audit.done(audited, by);
      return result;
    } catch (error) {
      audit.refused(audited, by, error as Error);
      throw inWordsOf(by, error, command.name, text);
    }
  };

  return {
    sources,
    counts,
    roleOf: (user) => options.roleOf(user),
    parse(text, by) {
      try {
        const statements = parseStatements(text, isWeirSetting);
        return by.database === consoleDatabase ? statements.map(typedAsPgbouncer) : statements;
      } catch (error) {
        audit.refused({ role: undefined, text }, by, error as Error);
        throw inWordsOf(by, error, undefined, text);
      }
    },
    execute,
    period: () => window.period(),
    start() {
      timer ??= setInterval(() => window.sample(), statsPeriodMs).unref();
    },
    stop() {
      clearInterval(timer);
      timer = undefined;
    },
  };
}

/** What the console keeps from command to command. */
interface Kept {
  readonly window: StatsWindow;
  readonly unapplied: Map<string, string>;
}

const typedAsPgbouncer = (statement: ConsoleStatement): ConsoleStatement => ({
  ...statement,
  columns: asPgbouncerHas(statement.command.name, statement.columns),
});

/** The error as its operator gets it. */
const inWordsOf = ({ database }: Operator, error: unknown, command: string | undefined, text: string): unknown =>
  database === consoleDatabase && error instanceof WeirError ? asPgbouncer(error, command, text) : error;

/** @throws WeirError, and nothing else */
async function runAllowed(
  statement: ConsoleStatement,
  by: ConsoleUser,
  options: ConsoleOptions,
  kept: Kept,
  audit: Audit,
): Promise<CommandResult> {
  const { command, text } = statement;
  const role = options.roleOf(by.user);
  if (role === undefined) throw new WeirError('not_console_user', { user: by.user });
  if (command.role === 'admin' && role !== 'admin') {
    throw new WeirError('not_admin', { user: by.user, command: command.name });
  }
  if (command.isEndless === true) audit.begun({ role: command.role, text }, by);
  try {
    return await withAbort(runStatement(statement, by, options, kept), by.signal);
  } catch (error) {
    if (by.signal.aborted) throw new WeirError('console_canceled', { command: command.name });
    if (error instanceof WeirError) throw error;
    const what = error instanceof Error ? error.message : String(error);
    options.log('error', 'console_command_failed', `${command.name} failed: ${what}`, { user: by.user });
    throw new WeirError('console_refused', { what: `${command.name} failed: ${what}` });
  }
}

function runStatement(
  statement: ConsoleStatement,
  by: ConsoleUser,
  { sources, gather, nowMs }: ConsoleOptions,
  kept: Kept,
): CommandResult | Promise<CommandResult> {
  const { detail = 'totals' } = statement.command;
  if (gather !== undefined && detail !== 'none') return runForAll(statement, by, gather(detail), nowMs, kept);
  return statement.run({ sources, ...contextOf(by), ...kept, nowMs: nowMs() });
}

type By = Pick<CommandContext, 'user' | 'signal' | 'isPgbouncer'>;

const contextOf = ({ user, signal, database }: ConsoleUser): By => ({
  ...{ user, signal },
  isPgbouncer: database === consoleDatabase,
});

/** Runs a statement with the figures and actions of all workers. */
async function runForAll(
  statement: ConsoleStatement,
  by: ConsoleUser,
  gathered: Promise<ConsoleSources>,
  nowMs: () => number,
  kept: Kept,
): Promise<CommandResult> {
  const sources = await gathered;
  const { periods } = sources;
  const window = periods === undefined ? kept.window : statsView(sources, () => periods);
  const result = await statement.run({ sources, ...contextOf(by), ...kept, window, nowMs: nowMs() });
  const notices = [...(result.notices ?? []), ...(sources.notices?.() ?? [])];
  return { ...result, notices };
}

/** Rejects when `signal` fires, so that a cancel ends the wait even if the action does not watch its signal. */
async function withAbort(result: CommandResult | Promise<CommandResult>, signal: AbortSignal): Promise<CommandResult> {
  if (!(result instanceof Promise)) return result;
  let stopListening = (): void => {};
  const aborted = new Promise<never>((_resolve, reject) => {
    const onAbort = (): void => reject(new Error('aborted'));
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    stopListening = () => signal.removeEventListener('abort', onAbort);
  });
  try {
    return await Promise.race([result, aborted]);
  } finally {
    stopListening();
  }
}

const mostStatements = 1_000;

function parseStatements(text: string, isWeirSetting: (key: string) => boolean): ConsoleStatement[] {
  const scanner = new Scanner(text);
  const statements: ConsoleStatement[] = [];
  while (scanner.peek().kind !== 'end') {
    if (scanner.takeSymbol(';')) continue;
    if (statements.length >= mostStatements) throw syntaxError(`more than ${mostStatements} statements at once`);
    statements.push(parseStatement(scanner, isWeirSetting));
  }
  return statements;
}

function parseStatement(scanner: Scanner, isWeirSetting: (key: string) => boolean): ConsoleStatement {
  const rest = scanner.restFrom(scanner.position());
  const written = (): string => rest.slice(0, rest.length - scanner.restFrom(scanner.lastEnd()).length).trim();
  const command = findCommand(rest);
  if (command === undefined || command.name === 'SET') {
    const words = new Scanner(rest).takeStatement();
    const answered = driverStatement(words, isWeirSetting) ?? showSetting(words, isWeirSetting);
    if (answered !== undefined) {
      scanner.takeStatement();
      return { command: answered, text: written(), columns: answered.columns, run: answered.parse(scanner) };
    }
    if (command === undefined) throw unknownCommand(words);
  }
  for (const _word of command.name.split(' ')) scanner.next();
  const run = command.parse(scanner);
  if (!scanner.isAtEnd()) {
    throw syntaxError(`"${shorten(scanner.peek().text)}" is too much; the syntax is ${command.syntax}`);
  }
  return { command, text: written(), columns: command.columns, run };
}

/** The command that the statement begins with. Reads two words at most: after EXPLAIN ROUTE comes SQL. */
function findCommand(rest: string): ConsoleCommand | undefined {
  const scanner = new Scanner(rest);
  const first = scanner.next().text.toUpperCase();
  const found = commands.get(first);
  if (found !== undefined || scanner.isAtEnd()) return found;
  return commands.get(`${first} ${scanner.next().text.toUpperCase()}`);
}

/** `SHOW max_client_conn`: the value of one setting of Weir. */
function showSetting(words: string, isWeirSetting: (key: string) => boolean): ConsoleCommand | undefined {
  const key = /^show\s+(\S+)$/i.exec(words)?.[1]?.toLowerCase();
  if (key === undefined || !isWeirSetting(key)) return undefined;
  const run: Run = ({ sources }) => {
    for (const row of sources.settings()) if (row.key === key) return { rows: [[row.value]] };
    return { rows: [] };
  };
  const columns: ConsoleColumn[] = [{ name: key, type: 'text' }];
  return { name: 'SHOW', role: 'stats', syntax: 'SHOW setting', help: '', columns, tag: 'SHOW', parse: () => run };
}

function unknownCommand(words: string): WeirError {
  const [first = '', second = ''] = words.toUpperCase().split(/\s+/, 2);
  const isKnownStart = [...commands.keys()].some((name) => name.startsWith(`${first} `));
  const tried = isKnownStart ? `${first} ${second}`.trim() : first;
  const guess = didYouMean(tried, commands.keys()) ?? didYouMean(`${first} ${second}`, commands.keys());
  const question = guess === undefined ? '' : `; did you mean ${commands.get(guess)?.syntax ?? guess}?`;
  return syntaxError(`"${shorten(tried)}" is not a command of the admin console${question}`);
}
