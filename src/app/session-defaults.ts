/**
 * ALTER ROLE ... SET and ALTER DATABASE ... SET count for sessions that begin afterwards. So pools replace the servers that
 * logged in before, and sessions that began before keep the settings they began with. Called by database.ts.
 */
import { createHash } from 'node:crypto';
import type { Pool } from '../pool/pool.ts';
import type { ClientSession } from '../request/client.ts';
import { isSameFor, keptDefaults } from '../catalog/defaults.ts';
import type { SessionDefaults } from '../catalog/types.ts';

/** How long new clients wait, at most, for the catalog after such a statement. */
const maxWaitMs = 3_000;

export interface DefaultsParts {
  pools(): Iterable<Pool>;
  sessions(): Iterable<ClientSession>;
  /** The user that the servers of client user `user` are logged in as. */
  serverUser(user: string): string;
  /** Called when the parameters reported at log-in, and cached answers, may be out of date. */
  onChange(): void;
}

export class DefaultsKeeper {
  /** The defaults in the last catalog. */
  current: SessionDefaults | undefined;
  private readonly parts: DefaultsParts;
  private known: Promise<void> | undefined;
  private settle: () => void = () => undefined;
  /** False: what is read now may be from before the change. */
  private isDecided = true;

  constructor(parts: DefaultsParts) {
    this.parts = parts;
  }

  /**
   * Called when the defaults may have changed, or may be about to: new clients wait, maxWaitMs at most, until the catalog has
   * been read again after that was decided.
   */
  suspect(isDecided = true): void {
    this.isDecided = isDecided;
    if (this.known !== undefined) return;
    this.known = new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.isDecided = true;
        this.settle();
      }, maxWaitMs);
      timer.unref();
      this.settle = (): void => {
        clearTimeout(timer);
        this.known = undefined;
        resolve();
      };
    });
  }

  /** Undefined: not known, or about to be read again. */
  get key(): string | undefined {
    if (this.current === undefined || this.known !== undefined) return undefined;
    return createHash('sha256').update(this.current.key).digest('base64');
  }

  whenKnown(): Promise<void> {
    return this.known ?? Promise.resolve();
  }

  read(after: SessionDefaults): void {
    const before = this.current;
    this.current = after;
    if (before !== undefined && before.key !== after.key) this.change(before, after);
    if (this.isDecided) this.settle();
  }

  private change(before: SessionDefaults, after: SessionDefaults): void {
    const { parts } = this;
    for (const session of parts.sessions()) {
      const kept = keptDefaults(before, after, parts.serverUser(session.user));
      // In session mode the client keeps its server, and with it the old defaults.
      if (kept.length > 0 && session.poolMode !== 'session') session.concerns.settings.keepDefaults(kept);
    }
    for (const pool of parts.pools()) if (!isSameFor(before, after, pool.user)) pool.reconnect();
    parts.onChange();
  }
}
