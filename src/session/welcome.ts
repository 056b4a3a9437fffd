/**
 * Turns a logged-in client into a session: finds out what a server with this client's settings reports, and tells the
 * client (ParameterStatus, BackendKeyData, ReadyForQuery). The result is kept, so that later clients with the same
 * user and settings need no server.
 */
import { WeirError } from '../errors/errors.ts';
import type { ServerConnection } from '../backend/server.ts';
import type { Pool } from '../pool/pool.ts';
import { backendKeyData, parameterStatus, readyForQuery } from '../protocol/write.ts';
import type { NodeState } from '../topology/types.ts';
import type { Database, Services } from './context.ts';
import { noteReplayed } from './concerns/custom-settings.ts';
import { wantedBy } from './login-notices.ts';
import type { Preferences } from './preferences.ts';
import { Settings, replaySql, settingsOf } from './settings.ts';
import { readStartup } from './startup.ts';

/** What a server reported after log-in. */
interface Learned {
  readonly reported: ReadonlyMap<string, string>;
  /** Notices of its log-in, if it was opened for this client. */
  readonly notices: readonly Buffer[];
}

export interface Welcome extends Learned {
  readonly settings: Settings;
  readonly preferences: Preferences;
}

/** Maximum number of (user, settings) pairs remembered per database. */
const keptWelcomes = 1_000;

export class WelcomeDesk {
  private readonly database: Database;
  private readonly services: Services;
  private known = new Map<string, ReadonlyMap<string, string>>();
  private asking = new Map<string, Promise<Learned>>();

  constructor(database: Database, services: Services) {
    this.database = database;
    this.services = services;
  }

  /** Servers may report other values from now on (reload, another primary, other defaults). */
  forget(): void {
    this.known = new Map();
    this.asking = new Map();
  }

  /** @throws WeirError when no server can be had, or a startup setting is refused by the server */
  async receive(user: string, parameters: ReadonlyMap<string, string>): Promise<Welcome> {
    for (;;) {
      await this.database.defaultsKnown();
      const { known } = this;
      const plain = await this.reportedWith(user, Settings.none);
      const { settings, preferences } = readStartup(parameters, plain.reported);
      const own = settings.size === 0 ? plain : await this.reportedWith(user, settings);
      const notices = wantedBy(settings, plain.notices.length > 0 ? plain.notices : own.notices);
      // forget() was called meanwhile: start again, because the values may be out of date.
      if (known === this.known) return { settings, preferences, reported: own.reported, notices };
    }
  }

  private reportedWith(user: string, settings: Settings): Promise<Learned> {
    const key = `${user}\n${settings.key}`;
    const { known, asking } = this;
    const reported = known.get(key);
    if (reported !== undefined) return Promise.resolve({ reported, notices: [] });
    let answer = asking.get(key);
    if (answer === undefined) {
      answer = this.ask(user, settings).finally(() => asking.delete(key));
      asking.set(key, answer);
      answer.then(
        (learned) => {
          if (known.size >= keptWelcomes) known.delete(known.keys().next().value as string);
          known.set(key, learned.reported);
        },
        () => undefined,
      );
    }
    return answer;
  }

  private async ask(user: string, settings: Settings): Promise<Learned> {
    const { pool, server: used } = await checkoutAny(this.database, this.services, user);
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
    pool.checkin(server, false);
    return { reported, notices };
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

/** A server of any node that is up, the primary first. */
async function checkoutAny(
  database: Database,
  services: Services,
  user: string,
): Promise<{ pool: Pool; server: ServerConnection }> {
  const sinceMs = services.nowMs();
  for (;;) {
    const node = await anyNode(database, sinceMs);
    const pool = database.pool(node, user);
    const server = pool.tryCheckout() ?? (await waitFor(pool, node, sinceMs));
    if (server === undefined) continue;
    pool.uncountCheckout();
    return { pool, server };
  }
}

function anyNode(database: Database, sinceMs: number): Promise<NodeState> {
  return new Promise((resolve, reject) => {
    const look = (): void => {
      const { primary, nodes } = database.topology.snapshot();
      const node = primary?.isUp === true ? primary : nodes.find((candidate) => candidate.isUp);
      if (node !== undefined) return resolve(node);
      const deadlineMs = sinceMs + database.settings().queryWaitTimeoutMs;
      const why = nodes.map((each) => `${each.name}: ${each.problem ?? 'not up'}`).join('; ');
      database.park({
        deadlineMs,
        retry: look,
        expired: () => reject(new WeirError('no_node', { database: database.name, why })),
      });
    };
    look();
  });
}

/** Resolves to undefined if another node should be tried. */
function waitFor(pool: Pool, node: NodeState, sinceMs: number): Promise<ServerConnection | undefined> {
  return new Promise((resolve, reject) => {
    pool.wait(
      {
        mayGoElsewhere: node.role === 'replica',
        mayShare: () => false,
        granted: resolve,
        // A replica is used only if the primary is not up, so its refusal is final.
        refused: (error, isElsewhere) =>
          isElsewhere && error.errorName !== 'server_refused' ? resolve(undefined) : reject(error),
      },
      sinceMs,
    );
  });
}

/** @returns the messages between AuthenticationOk and the client's first statement */
export function greeting(
  reported: ReadonlyMap<string, string>,
  processId: number,
  secret: Buffer,
  notices: readonly Buffer[] = [],
): Buffer {
  const parts = [...reported].map(([name, value]) => parameterStatus(name, value));
  return Buffer.concat([...parts, backendKeyData(processId, secret), ...notices, readyForQuery('I')]);
}
