/**
 * Changes of the configuration of a Weir with several workers: checked first and kept ready, applied when every worker has
 * accepted. Called through workers/worker-answers.ts.
 */
import { createHash } from 'node:crypto';
import { changeSetting, keepNotReloadable } from '../config/change.ts';
import type { Config, PoolSettings } from '../config/config.ts';
import type { NodeChange } from '../config/node-changes.ts';
import { WeirError } from '../errors/errors.ts';
import { isOtherSize } from '../pool/bounds.ts';
import type { Topology } from '../topology/types.ts';
import type { Applied, Change } from '../workers/console-topics.ts';
import { supervisorSettings, type SupervisorSettings } from '../workers/settings-topics.ts';
import type { StagedChanges } from '../workers/worker-answers.ts';
import type { Current } from './current.ts';
import { changedNodes } from './node-changes.ts';
import type { Reload, Users } from './reload.ts';

type Steps = Pick<Reload, 'read' | 'check' | 'apply' | 'reloadRead'>;

interface Databases {
  all(): Iterable<{
    readonly name: string;
    readonly topology: Pick<Topology, 'snapshot' | 'tryNode'>;
    settings(): PoolSettings;
  }>;
}

/** A change that was checked. Resolves to what could not be applied, in words. */
type Ready = () => Promise<readonly string[]>;

export class StagedChange implements StagedChanges {
  private readonly current: Current;
  private readonly reload: Steps;
  private readonly databases: Databases;
  private ready: Ready | undefined;

  constructor(current: Current, reload: Steps, databases: Databases) {
    this.current = current;
    this.reload = reload;
    this.databases = databases;
  }

  prepare(change: Change): string {
    this.ready = undefined;
    switch (change.do) {
      case 'set':
        return this.prepareSetting(change);
      case 'reload':
        return this.prepareReload();
      default:
        return this.prepareNodes(change);
    }
  }

  discard(): void {
    this.ready = undefined;
  }

  async apply(): Promise<Applied> {
    const { ready } = this;
    this.ready = undefined;
    if (ready === undefined) throw new WeirError('console_refused', { what: 'there is no change to apply' });
    const before = new Map(Array.from(this.databases.all(), (database) => [database, database.settings()]));
    const notices = await ready();
    const resized = [...before].filter(([database, sizes]) => isOtherSize(sizes, database.settings()));
    return { notices, resized: resized.map(([{ name }]) => name) };
  }

  settings(): SupervisorSettings {
    return supervisorSettings(this.current.config);
  }

  private prepareSetting({ key, value, also = [] }: Change & { readonly do: 'set' }): string {
    const changed = changeSetting(this.current.config, key, value, also);
    if ('problem' in changed) throw new WeirError('console_refused', { what: changed.problem });
    this.reload.check(changed.config);
    this.ready = async () => {
      await this.reload.apply(changed.config);
      return [];
    };
    return [[key, value], ...also].map((pair) => pair.join(' = ')).join(', ');
  }

  private prepareNodes(change: Change & NodeChange): string {
    const { current, databases, reload } = this;
    changedNodes(current.config, change, databases.all(), change.isAgain);
    this.ready = async () => {
      // Made of the configuration as it is then.
      await reload.apply(changedNodes(current.config, change, databases.all(), change.isAgain));
      return [];
    };
    return JSON.stringify(change);
  }

  private prepareReload(): string {
    const { config, users, warnings } = this.reload.read();
    this.reload.check(keepNotReloadable(this.current.config, config));
    this.ready = () => this.reload.reloadRead({ config, users, warnings });
    return digestOf(config, users);
  }
}

function digestOf(config: Config, users: Users): string {
  const text = JSON.stringify([config, users], (_key, value: unknown) => (value instanceof Map ? [...value] : value));
  return createHash('sha256').update(text).digest('hex');
}
