/**
 * Turns a logged-in client into a session: finds out what a server with this client's settings reports, and tells the
 * client (ParameterStatus, BackendKeyData, ReadyForQuery). The result is kept, so that later clients with the same
 * user and settings need no server.
 */
import { WeirError } from '../errors/errors.ts';
import type { ServerConnection } from '../backend/server.ts';
import { backendKeyData, readyForQuery } from '../protocol/write.ts';
import { checkoutAny, tryAny, type FoundServer } from './any-server.ts';
import type { Database, Services } from './context.ts';
import { noteReplayed } from './concerns/custom-settings.ts';
import { Learned } from './learned.ts';
import { wantedBy } from './login-notices.ts';
import type { Preferences } from './preferences.ts';
import { Settings, replaySql, settingsOf } from './settings.ts';
import { readStartup } from './startup.ts';
import type { Reported, WelcomePeers, WelcomeQuestion } from './welcome-types.ts';

export interface Welcome extends Pick<Learned, 'reported' | 'statuses' | 'notices'> {
  readonly settings: Settings;
  readonly preferences: Preferences;
}

/** Maximum number of (user, settings) pairs remembered per database. */
const keptWelcomes = 1_000;
/** How often other workers are asked while a client waits for a server. */
const askAgainMs = 200;

export class WelcomeDesk {
  private readonly database: Database;
  private readonly services: Services;
  /** Undefined: this process is the whole Weir. */
  private readonly peers: WelcomePeers | undefined;
  private known = new Map<string, Learned>();
  private asking = new Map<string, Promise<Learned>>();

  constructor(database: Database, services: Services, peers: WelcomePeers | undefined) {
    this.database = database;
    this.services = services;
    this.peers = peers;
  }

  /** Servers may report other values from now on (reload, another primary, other defaults). */
  forget(): void {
    this.known = new Map();
    this.asking = new Map();
  }

  /** For another worker. */
  answer({ user, settings, defaults }: WelcomeQuestion): Reported | undefined {
    if (defaults !== undefined && defaults !== this.database.defaultsKey()) return undefined;
    return this.known.get(`${user}\n${settings}`)?.reported;
  }

  /** Could the user log in to a server from another worker? */
  async isKnownElsewhere(user: string): Promise<boolean> {
    const { name: database } = this.database;
    const question = { database, user, settings: Settings.none.key, defaults: undefined };
    return (await this.peers?.ask(question)) !== undefined;
  }

  /** @throws WeirError when no server can be had, or a startup setting is refused by the server */
  async receive(user: string, parameters: ReadonlyMap<string, string>): Promise<Welcome> {
    for (;;) {
      await this.database.defaultsKnown();
      const { known } = this;
      const plain = await this.reportedWith(user, Settings.none);
      const { settings, preferences } = readStartup(parameters, plain.byLowerName);
      const own = settings.size === 0 ? plain : await this.reportedWith(user, settings);
      const notices = wantedBy(settings, plain.notices.length > 0 ? plain.notices : own.notices);
      // forget() was called meanwhile: start again, because the values may be out of date.
      const { reported, statuses } = own;
      if (known === this.known) return { settings, preferences, reported, statuses, notices };
    }
  }

  private reportedWith(user: string, settings: Settings): Promise<Learned> {
    const key = `${user}\n${settings.key}`;
    const { known, asking } = this;
    const kept = known.get(key);
    if (kept !== undefined) return Promise.resolve(kept);
    let answer = asking.get(key);
    if (answer === undefined) {
      answer = this.ask(user, settings).finally(() => asking.delete(key));
      asking.set(key, answer);
      answer.then(
        (learned) => {
          // As it is kept, it must be forgotten when this process hears of a change.
          if (learned.isHearsay) return;
          if (known.size >= keptWelcomes) known.delete(known.keys().next().value as string);
          known.set(key, learned.withoutNotices());
        },
        () => undefined,
      );
    }
    return answer;
  }

  private async ask(user: string, settings: Settings): Promise<Learned> {
    const found = await this.serverOrHearsay(user, settings);
    if (!('server' in found)) return new Learned(found, { isHearsay: true });
    const { pool, server: used } = found;
    const notices = used.login.takeNotices();
    // Earlier use of a server may prevent a setting: ask a new connection before refusing it.
    const server = (await takes(used, settings)) === undefined ? used : await pool.renew(used);
    if (server === undefined) return this.ask(user, settings);
    const why = server === used ? undefined : await takes(server, settings);
    // The connection was lost, which says nothing about the settings.
    if (!server.isAlive) return this.ask(user, settings);
    if (why !== undefined) {
      pool.checkin(server, true);
      throw new WeirError('startup_setting_refused', { why });
    }
    const reported = new Map(server.login.parameters);
    server.login.takeNotices();
    pool.checkin(server, false, false);
    return new Learned(reported, { notices });
  }

  /** A server, or what another worker knows: with that, a client need not wait until it gets a server. */
  private async serverOrHearsay(user: string, settings: Settings): Promise<FoundServer | Reported> {
    const { database, services, peers } = this;
    if (peers === undefined) return checkoutAny(database, services, user);
    return (
      tryAny(database, services, user) ?? (await this.hearsay(user, settings)) ?? this.whicheverIsFirst(user, settings)
    );
  }

  /** Another worker may get a server first, and its client may keep it. */
  private whicheverIsFirst(user: string, settings: Settings): Promise<FoundServer | Reported> {
    return new Promise((resolve, reject) => {
      const search = new AbortController();
      const timer = setInterval(() => {
        void this.hearsay(user, settings).then((reported) => {
          if (reported === undefined || search.signal.aborted) return;
          stop();
          resolve(reported);
        });
      }, askAgainMs);
      const stop = (): void => {
        clearInterval(timer);
        search.abort();
      };
      checkoutAny(this.database, this.services, user, search.signal).then(
        (found) => {
          if (search.signal.aborted) return found.pool.checkin(found.server, false);
          stop();
          resolve(found);
        },
        (error: unknown) => {
          clearInterval(timer);
          reject(error);
        },
      );
    });
  }

  /** What another worker knows, if it knows of the same defaults of new sessions. */
  private async hearsay(user: string, settings: Settings): Promise<Reported | undefined> {
    const { known, database } = this;
    const defaults = database.defaultsKey();
    if (defaults === undefined) return undefined;
    const reported = await this.peers?.ask({ database: database.name, user, settings: settings.key, defaults });
    return known === this.known ? reported : undefined;
  }
}

/** Applies the settings to the server. @returns undefined if that succeeded, otherwise the reason */
async function takes(server: ServerConnection, settings: Settings): Promise<string | undefined> {
  const sql = replaySql(settingsOf(server), settings);
  try {
    if (sql !== undefined) await server.run(sql);
    server.sessionState.settings = settings;
    noteReplayed(server, settings);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/**
 * @param statuses the ParameterStatus messages
 * @returns the messages between AuthenticationOk and the client's first statement
 */
export function greeting(statuses: Buffer, processId: number, secret: Buffer, notices: readonly Buffer[] = []): Buffer {
  return Buffer.concat([statuses, backendKeyData(processId, secret), ...notices, readyForQuery('I')]);
}
