/**
 * What this Weir may have of the connections of each server: all that the server can spare, a fixed share of it, or what several
 * Weirs agree on through Redis (shares/). With several workers the lead talks to Redis, and the supervisor keeps the limit. Made
 * by parts.ts; a reload changes it.
 */
import type { Config, ConnectionBudgetSettings } from '../config/config.ts';
import type { Log } from '../observability/types.ts';
import type { Budgets, ServerAddress } from '../pool/budget-types.ts';
import { Exchange } from '../shares/exchange.ts';
import type { Terms } from '../shares/own-share.ts';
import { RedisLedgers } from '../shares/redis-ledgers.ts';
import type { ShareKeeper } from '../shares/share-book.ts';
import type { ConnectionBudgetFigures, ShareState } from '../shares/types.ts';
import { nodeCapacity } from '../sizing/controller.ts';
import type { NodeState, Topology } from '../topology/types.ts';
import type { LocalShares } from './local-shares.ts';
import { stateInWords } from './shared-budget-words.ts';
import { addressOfKey, serverKey } from '../util/server-key.ts';

export interface SharedBudgetOptions {
  config(): Config;
  readonly budgets: Budgets;
  topologies(): Iterable<Topology>;
  /** Undefined: other workers belong to this Weir. */
  readonly local: LocalShares | undefined;
  readonly keeper: ShareKeeper;
  /** Number of the time for which this worker is the lead; undefined: it is not. 0 where there is one process. */
  leadTerm(): number | undefined;
  readonly log: Log;
  readonly nowMs: () => number;
}

/** What is known of a server. */
interface Server {
  readonly key: string;
  spare: number | undefined;
  identity: string | undefined;
  exchange: Exchange | undefined;
  readonly refusals: Record<string, number>;
}

const everyMs = 1_000;

export class SharedBudget {
  private readonly options: SharedBudgetOptions;
  private readonly servers = new Map<string, Server>();
  private ledgers: RedisLedgers | undefined;
  private url: string | undefined;
  private timer: NodeJS.Timeout | undefined;

  constructor(options: SharedBudgetOptions) {
    this.options = options;
  }

  start(): void {
    this.apply();
    this.timer = setInterval(() => this.follow(), everyMs).unref();
  }

  /** Resolves when the others know that this Weir opens no connections any more. */
  async stop(): Promise<void> {
    clearInterval(this.timer);
    const isLead = this.options.leadTerm() !== undefined;
    if (isLead) await Promise.all(Array.from(this.servers.values(), ({ exchange }) => exchange?.leave()));
    for (const server of this.servers.values()) this.endExchange(server);
    this.ledgers?.stop();
  }

  /** The settings may have changed. */
  apply(): void {
    const { redis } = this.settings;
    if (redis !== this.url) {
      for (const server of this.servers.values()) this.endExchange(server);
      this.ledgers?.stop();
      this.url = redis;
      this.ledgers = redis === undefined ? undefined : new RedisLedgers(redis);
      if (redis === undefined) for (const server of this.servers.values()) this.endSharing(server);
    }
    for (const server of this.servers.values()) this.setLimit(server);
    this.follow();
  }

  private endSharing(server: Server): void {
    const { keeper, local, budgets } = this.options;
    void keeper.drop(server.key);
    local?.end(server.key);
    // What Redis had granted, perhaps nothing, must not stay: a monitor that has to borrow a log-in could never find out more.
    if (this.budgetOf(server) === undefined) budgets.ofServer(addressOfKey(server.key)).limit = Infinity;
  }

  /** Call it before there is a connection to the server. */
  begin(address: ServerAddress): void {
    if (this.isOff || this.servers.has(serverKey(address))) return;
    this.setLimit(this.serverOf(address));
  }

  /** @param spare what the server can spare */
  learned({ config, systemId, serverVersion }: NodeState, spare: number | undefined): void {
    if (this.isOff && !this.servers.has(serverKey(config))) {
      // Without a value, the limit stays as another database with the same server may have set it.
      if (spare !== undefined) this.options.budgets.ofServer(config).limit = spare;
      return;
    }
    const server = this.serverOf(config);
    server.spare = spare ?? server.spare;
    if (serverVersion !== undefined) server.identity = `${systemId ?? 'unknown'}@${server.key.toLowerCase()}`;
    this.setLimit(server);
  }

  /** How many connections this Weir may have at most, whatever the other Weirs have. */
  most(address: ServerAddress): number {
    const server = this.servers.get(serverKey(address));
    const { limit } = this.options.budgets.ofServer(address);
    return server === undefined || this.settings.redis === undefined ? limit : (this.budgetOf(server) ?? limit);
  }

  figures(): ConnectionBudgetFigures[] {
    if (this.isOff) return [];
    const used = this.used();
    return [...this.servers.values()].filter(({ key }) => used.has(key)).map((server) => this.figuresOf(server));
  }

  private get settings(): ConnectionBudgetSettings {
    return this.options.config().budget;
  }

  private get isOff(): boolean {
    const { redis, share, maxConnections } = this.settings;
    return redis === undefined && share === 1 && maxConnections === 0;
  }

  private serverOf(address: ServerAddress): Server {
    const key = serverKey(address);
    let server = this.servers.get(key);
    if (server === undefined) {
      const nothing = { spare: undefined, identity: undefined, exchange: undefined };
      this.servers.set(key, (server = { key, ...nothing, refusals: {} }));
    }
    return server;
  }

  private budgetOf({ spare }: Server): number | undefined {
    const { maxConnections } = this.settings;
    if (maxConnections === 0) return spare;
    return Math.min(maxConnections, spare ?? maxConnections);
  }

  private termsOf(server: Server): Terms {
    // A monitor that has to borrow a log-in gets it from the first connection.
    if (server.identity === undefined) return { budget: 1, fixed: 1 };
    return { budget: this.budgetOf(server), fixed: this.fixedOf(server) ?? 0 };
  }

  private setLimit(server: Server): void {
    const { local, budgets } = this.options;
    const place = budgets.ofServer(addressOfKey(server.key));
    if (this.settings.redis !== undefined) {
      if (local !== undefined) local.begin(server.key);
      else if (place.limit === Infinity) place.limit = 0;
      return;
    }
    if (this.isOff) local?.end(server.key);
    const limit = this.isOff ? server.spare : this.fixedOf(server);
    if (limit === undefined) return;
    if (local !== undefined && !this.isOff) local.beginFixed(server.key, limit);
    else place.limit = limit;
  }

  private fixedOf(server: Server): number | undefined {
    const budget = this.budgetOf(server);
    return budget === undefined ? undefined : Math.max(1, Math.floor(budget * this.settings.share));
  }

  /* ---- with Redis ---- */

  /** Begins what is to be said of a server, and ends it where it is not used any more, or another worker is the lead. */
  private follow(): void {
    const isLead = this.options.leadTerm() !== undefined;
    const { ledgers } = this;
    const used = ledgers !== undefined && isLead ? this.used() : new Map<string, boolean>();
    for (const server of this.servers.values()) if (!used.has(server.key)) this.endExchange(server);
    if (ledgers === undefined) return;
    for (const [key, hasLogin] of used) {
      const server = this.serverOf(addressOfKey(key));
      if (server.identity === undefined) this.learnAll(key);
      this.setLimit(server);
      server.exchange ??= this.beginExchange(server, ledgers, hasLogin);
    }
  }

  /**
   * After a reload, nobody may have called learned() yet. Whoever has connections must not take part as one that needs its first
   * connection to find out more: then all but one would be closed.
   */
  private learnAll(key: string): void {
    for (const topology of this.options.topologies())
      for (const node of topology.snapshot().nodes)
        if (serverKey(node.config) === key) this.learned(node, nodeCapacity(node, 0));
  }

  /** The servers of all databases, and whether a monitor has a log-in of its own there. */
  private used(): Map<string, boolean> {
    const used = new Map<string, boolean>();
    for (const topology of this.options.topologies())
      for (const { config } of topology.snapshot().nodes) {
        const key = serverKey(config);
        used.set(key, used.get(key) === true || config.user !== undefined);
      }
    return used;
  }

  /** @param hasLogin the monitor can log in without one that a client has proven */
  private beginExchange(server: Server, ledgers: RedisLedgers, hasLogin: boolean): Exchange {
    const { keeper, nowMs, config } = this.options;
    const exchange = new Exchange({
      server: server.key,
      identity: () => {
        if (server.identity !== undefined) return server.identity;
        return hasLogin || config().auth.user !== undefined ? undefined : `login@${server.key}`;
      },
      keeper,
      terms: () => this.termsOf(server),
      ledgers,
      ask: (sql, values) => this.ask(server.key, sql, values),
      nowMs,
      onState: (state, why) => this.say(server, state, why),
      onShort: (reason) => (server.refusals[reason] = (server.refusals[reason] ?? 0) + 1),
    });
    exchange.start();
    return exchange;
  }

  private endExchange(server: Server): void {
    server.exchange?.stop();
    server.exchange = undefined;
  }

  private async ask(key: string, sql: string, values: readonly unknown[]): Promise<Record<string, unknown>[]> {
    let problem: unknown = new Error('no database uses the server');
    for (const topology of this.options.topologies()) {
      const node = topology.snapshot().nodes.find(({ config }) => serverKey(config) === key);
      if (node === undefined) continue;
      try {
        return await topology.ask(node.name, sql, values);
      } catch (error) {
        problem = error;
      }
    }
    throw problem;
  }

  /** A pool needs a connection to the server, and may not have it. */
  short(key: string): void {
    this.servers.get(key)?.exchange?.hurry();
  }

  async whenGone(key: string, processId: number): Promise<void> {
    const { host, port } = addressOfKey(key);
    for (const topology of this.options.topologies())
      if (topology.snapshot().nodes.some(({ config }) => serverKey(config) === key))
        return topology.whenForeignGone({ node: { host, port }, processId });
  }

  private figuresOf(server: Server): ConnectionBudgetFigures {
    const { exchange, key } = server;
    const { share, maxConnections } = this.settings;
    const { limit, used } = this.options.budgets.ofServer(addressOfKey(key));
    const common = { server: key, share, refusals: { ...server.refusals } };
    const budget = this.budgetOf(server);
    const from = maxConnections !== 0 && budget === maxConnections ? 'budget.max_connections' : 'server';
    if (exchange === undefined) {
      const fixed = { state: 'fixed share', why: 'budget.share' } as const;
      return { ...common, budget, from, limit, open: used, weirs: undefined, ...fixed };
    }
    const { state, limit: leased, open, answer, problem } = exchange.standing;
    const why = state === 'granted' ? (answer?.why ?? '') : (problem ?? this.ledgers?.problem ?? '');
    return { ...common, budget: answer?.budget ?? budget, from, limit: leased, open, weirs: answer?.weirs, state, why };
  }

  private say({ key }: Server, state: ShareState, why: string): void {
    const level = state === 'granted' || state === 'starting' ? 'info' : 'warn';
    this.options.log(level, 'connection_budget', stateInWords(key, state, why), { server: key, state });
  }
}
