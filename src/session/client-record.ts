/**
 * What Weir keeps of a client between requests: its identity and its concerns (concerns/table.ts). The lowest layer of
 * a session (docs/architecture.md).
 */
import { isAscii } from 'node:buffer';
import type { ServerConnection } from '../backend/server.ts';
import type { Tag } from '../binding/plan.ts';
import type { PoolMode } from '../config/config.ts';
import type { Who } from '../limits/types.ts';
import type { Classified } from '../sql/facts.ts';
import type { StatementAccount } from '../statements/types.ts';
import type { NodeState } from '../topology/types.ts';
import type { Ring } from '../util/ring.ts';
import { noSuchTick } from '../util/ticks.ts';
import { lastRoute } from './last-route.ts';
import type { PreparedStatements } from './concerns/prepared-statements.ts';
import { makeConcerns, Moments, type Concerns, type SessionOfConcerns } from './concerns/table.ts';
import type { Database, Services } from './context.ts';
import { Meter } from './meter.ts';
import type { Priority } from '../pool/waiter.ts';
import type { Preferences } from './preferences.ts';
import type { Reading } from './reading.ts';
import type { SessionState } from './state.ts';
import type { Request } from './request.ts';

export interface ClientIdentity {
  readonly id: number;
  readonly user: string;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly hasTls: boolean;
  readonly connectedAtMs: number;
  /** For CancelRequest. */
  readonly secret: Buffer;
}

/** What stands for the address of a client on a Unix socket. */
const localAddress = 'unix';
const backslash = 0x5c;

export abstract class ClientRecord implements SessionOfConcerns {
  readonly identity: ClientIdentity;
  readonly database: Database;
  readonly services: Services;
  readonly state: SessionState;
  readonly startPreferences: Preferences;
  /** The server connection that the session has at present. */
  server: ServerConnection | undefined;
  /** undefined: there were no limits so far. */
  meter: Meter | undefined;
  /** undefined: nobody has wanted to know of its statements so far. */
  account: StatementAccount | undefined;
  private lastAnswered: Request | undefined;
  private routeElsewhere: string | undefined;

  /** State that follows the client from request to request: settings, prepared statements, writes ... */
  readonly concerns: Concerns;
  /** Calls the concerns when something happens. */
  readonly moments: Moments;

  abstract readonly serverNode: NodeState | undefined;
  abstract get status(): number;
  abstract readonly inFlight: Ring<Request>;
  abstract readonly poolMode: PoolMode;
  abstract release(): void;
  abstract holdAnswers(until: Promise<void> | undefined): void;

  constructor(
    identity: ClientIdentity,
    database: Database,
    services: Services,
    state: SessionState,
    preferences: Preferences,
  ) {
    this.identity = identity;
    this.database = database;
    this.services = services;
    this.state = state;
    this.startPreferences = preferences;
    this.meter = services.limits.active === undefined ? undefined : new Meter(this.who, 0);
    this.concerns = makeConcerns(this);
    this.moments = new Moments(this.concerns);
  }

  /** The client as limits see it. */
  get who(): Who {
    const { user, remoteAddress } = this.identity;
    const address = remoteAddress === localAddress ? undefined : remoteAddress;
    return { user, database: this.database.name, address };
  }

  /** The last request that was answered. */
  get lastRequest(): Request | undefined {
    return this.lastAnswered;
  }

  /** How the last statement was answered, as text. */
  get lastRoute(): string {
    const { lastAnswered, routeElsewhere } = this;
    return lastAnswered === undefined && routeElsewhere !== undefined ? routeElsewhere : lastRoute(lastAnswered);
  }

  /** The session comes from another process. @param route of its last statement there */
  arrivedWith(route: string): void {
    this.routeElsewhere = route;
  }

  /** The client has the whole answer to the request. */
  wasAnswered(request: Request): void {
    this.lastAnswered = request;
  }

  get prepared(): PreparedStatements {
    return this.concerns.prepared;
  }

  /**
   * Classifies a text. In an encoding other than UTF-8 a character may end in the byte of a backslash, and with
   * standard_conforming_strings = off a backslash decides where a string ends: such a text is not parsed.
   */
  classify(sql: Buffer, { isUtf8, hasStandardStrings }: Reading = this.state.reading): Classified {
    const { classifier, unread } = this.services;
    if ((isUtf8 || isAscii(sql)) && (hasStandardStrings || !sql.includes(backslash))) return classifier.classify(sql);
    return unread.of(sql);
  }

  showSetting(name: string): string {
    if (name === 'weir.last_route') return this.lastRoute;
    const { routing, cache } = this.services;
    return this.concerns.preferences.show(name, {
      consistency: routing().consistency,
      isCacheEnabled: cache.isEnabled,
      priority: this.defaultPriority,
      key: this.identity.user,
    });
  }

  private get defaultPriority(): Priority {
    return this.services.priorityOf(this.identity.user);
  }

  /** Its place in the queue of a pool. */
  get priority(): Priority {
    return this.concerns.preferences.priority ?? this.defaultPriority;
  }

  /**
   * Tick of the newest write, by any session, to the tables that the request reads (read-your-writes across sessions).
   * @param isCertain count only writes that are known, not those that another Weir may have made unnoticed
   */
  lastWriteOf(request: Request, isCertain = false): number {
    let latest = 0;
    const { ticker } = this.database.topology;
    for (const plan of request.plans) {
      if (plan.beginsReadOnly) latest = Math.max(latest, this.lastWriteToAnything(isCertain));
      const tags: readonly Tag[] = plan.reads;
      if (tags.length > 0) latest = Math.max(latest, this.services.cache.lastWrite(tags, ticker, isCertain));
    }
    return latest;
  }

  /** For a BEGIN: the transaction stays on its node, and what it will read is not known yet. */
  private lastWriteToAnything(isCertain: boolean): number {
    const prefix = this.database.tagPrefix();
    return prefix === undefined
      ? noSuchTick
      : this.services.cache.lastWriteInDatabase(prefix, this.database.topology.ticker, isCertain);
  }
}
