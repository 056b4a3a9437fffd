/**
 * Applies a new configuration after SIGHUP, or RELOAD or SET on the admin console: all of it or, if any part cannot be used,
 * nothing. Called by app.ts.
 */
import { diffConfig, keepNotReloadable, whatChanges, type ConfigDiff } from '../config/change.ts';
import type { Config } from '../config/config.ts';
import { keepAddedNodes } from '../config/node-changes.ts';
import type { Loaded } from '../config/load.ts';
import { WeirError } from '../errors/errors.ts';
import { clientTls, serverTlsOptions } from '../net/tls.ts';
import { accessOf } from './access.ts';
import type { Current } from './current.ts';
import type { Logs } from './logs.ts';
import type { Parts } from './parts.ts';

export type Users = ReadonlyMap<string, string>;

export interface Reloaded extends ConfigDiff {
  /** What has become of nodes, in words. */
  readonly nodes: readonly string[];
}

export interface ReadAgain {
  readonly config: Config;
  readonly users: Users;
  /** For the log, when it is applied. */
  readonly warnings: readonly string[];
}

export class Reload {
  private readonly current: Current;
  private readonly logs: Logs;
  private readonly parts: Parts;
  private readonly readAgain: () => Loaded;

  constructor(current: Current, logs: Logs, parts: Parts, readAgain: () => Loaded) {
    this.current = current;
    this.logs = logs;
    this.parts = parts;
    this.readAgain = readAgain;
  }

  /**
   * Reads the certificates and auth.hba_file, and changes nothing.
   * @throws WeirError for what cannot be used
   */
  check(next: Config): void {
    try {
      checkServerTls(next);
      clientTls(next.tls.client);
      accessOf(next);
    } catch (error) {
      throw nothingChanged(error);
    }
  }

  /** Reads the certificates, and refuses what cannot be used before anything has changed. */
  async apply(next: Config, nextUsers: Users = this.current.users): Promise<void> {
    const { current, parts } = this;
    try {
      checkServerTls(next);
      parts.entrance.listener.reload(next.tls.client, parts.entrance.reception.authOptions(next));
    } catch (error) {
      throw nothingChanged(error);
    }
    const before = current.config;
    current.config = next;
    const secrets = [...nextUsers];
    current.users.clear();
    for (const [name, secret] of secrets) current.users.set(name, secret);
    this.logs.setLevel(next.log.level);
    parts.services.limits.apply(next.limits);
    parts.services.statements.apply(next.statements);
    await parts.services.tracing.apply(next.tracing);
    parts.regular.connections.apply();
    await parts.directory.reconfigure(before, next);
    parts.regular.budgets.apply();
  }

  /**
   * @param file the configuration as it says; nodes that operators have added stay
   * @param warnings of it, for the log
   */
  async reload(file: Config, nextUsers: Users, warnings: readonly string[] = []): Promise<Reloaded> {
    const { current } = this;
    const { config: next, notices: nodes } = keepAddedNodes(current.config, file);
    const diff = diffConfig(current.config, next);
    this.logs.reopen();
    const secrets = changedSecrets(current.users, nextUsers);
    await this.apply(keepNotReloadable(current.config, next), nextUsers);
    const words = [...diff.reloadable, ...secrets];
    const what = words.length === 0 ? 'nothing had changed' : `changed: ${words.join(', ')}`;
    this.logs.log('info', 'reload', `the configuration was reloaded: ${what}`, {
      changed: diff.reloadable,
      ...(secrets.length === 0 ? {} : { auth: secrets }),
      needsRestart: diff.notReloadable,
      ...(nodes.length === 0 ? {} : { nodes }),
    });
    for (const warning of warnings) this.logs.log('warn', 'configuration', warning);
    return { ...diff, nodes };
  }

  /** @throws WeirError for a bad file */
  read(): ReadAgain {
    const { result, users } = this.readAgain();
    if ('problems' in result) throw nothingChanged(result.problems.join('; '));
    const { config, warnings } = result;
    return { config, users, warnings };
  }

  /** @returns a line for each setting that the file changes and a reload does not, and for nodes that were added by hand */
  async reloadRead({ config, users, warnings }: ReadAgain): Promise<readonly string[]> {
    const { notReloadable, nodes } = await this.reload(config, users, warnings);
    return [...notReloadable.map((key) => `${key} needs ${whatChanges(key)}`), ...nodes];
  }

  async reloadFromFile(): Promise<readonly string[]> {
    return this.reloadRead(this.read());
  }
}

const mostNamed = 10;

/** Of which users the password, or other secret, is another one now, in words. */
function changedSecrets(before: Users, after: Users): readonly string[] {
  const names = (of: Users, is: (name: string) => boolean): readonly string[] => [...of.keys()].filter(is);
  const kinds = {
    'password of': names(after, (name) => before.has(name) && before.get(name) !== after.get(name)),
    'new user': names(after, (name) => !before.has(name)),
    'user gone': names(before, (name) => !after.has(name)),
  };
  return Object.entries(kinds).flatMap(([kind, found]) => {
    const more = found.length > mostNamed ? [`${kind} ${found.length - mostNamed} more`] : [];
    return [...found.slice(0, mostNamed).map((name) => `${kind} "${name}"`), ...more];
  });
}

function checkServerTls({ tls }: Config): void {
  if (tls.server.mode !== 'disable') serverTlsOptions(tls.server, 'localhost');
}

function nothingChanged(error: unknown): WeirError {
  const why = error instanceof Error ? error.message : String(error);
  return new WeirError('console_refused', { what: `nothing was changed: ${why}` });
}
