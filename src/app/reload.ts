/**
 * Applies a new configuration after SIGHUP, or RELOAD or SET on the admin console: all of it or, if any part cannot be used,
 * nothing. Called by app.ts.
 */
import { diffConfig, keepNotReloadable, type ConfigDiff } from '../config/change.ts';
import type { Config } from '../config/config.ts';
import type { Loaded } from '../config/load.ts';
import { WeirError } from '../errors/errors.ts';
import { serverTlsOptions } from '../net/tls.ts';
import type { Current } from './current.ts';
import type { Logs } from './logs.ts';
import type { Parts } from './parts.ts';

export type Users = ReadonlyMap<string, string>;

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

  /** Reads the certificates, and refuses what cannot be used before anything has changed. */
  async apply(next: Config, nextUsers: Users = this.current.users): Promise<void> {
    const { current, parts } = this;
    try {
      if (next.tls.server.mode !== 'disable') serverTlsOptions(next.tls.server, 'localhost');
      parts.entrance.listener.reload(next.tls.client, parts.entrance.reception.authOptions(next));
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw new WeirError('console_refused', { what: `nothing was changed: ${why}` });
    }
    const before = current.config;
    current.config = next;
    const secrets = [...nextUsers];
    current.users.clear();
    for (const [name, secret] of secrets) current.users.set(name, secret);
    this.logs.setLevel(next.log.level);
    await parts.directory.reconfigure(before, next);
  }

  async reload(next: Config, nextUsers: Users): Promise<ConfigDiff> {
    const { current } = this;
    const diff = diffConfig(current.config, next);
    await this.apply(keepNotReloadable(current.config, next), nextUsers);
    this.logs.log('info', 'reload', 'the configuration was reloaded', {
      changed: diff.reloadable,
      needsRestart: diff.notReloadable,
    });
    return diff;
  }

  /** @returns a line for each setting that the file changes and a reload does not */
  async reloadFromFile(): Promise<readonly string[]> {
    const loaded = this.readAgain();
    const { result } = loaded;
    if ('problems' in result)
      throw new WeirError('console_refused', { what: `nothing was changed: ${result.problems.join('; ')}` });
    const { notReloadable } = await this.reload(result.config, loaded.users);
    return notReloadable.map((key) => `${key} needs a restart`);
  }
}
