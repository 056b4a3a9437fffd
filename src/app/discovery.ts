/**
 * routing.auto_discover: finds the replicas of one database in pg_stat_replication, looks at each before it is used, and forgets
 * one that is gone for long. What cannot be used costs nothing but a look now and then. Made by database.ts.
 */
import type { DatabaseConfig, NodeConfig, RoutingSettings } from '../config/config.ts';
import { isSameNode, nodesOf } from '../config/node-changes.ts';
import type { Log } from '../observability/types.ts';
import { STANDBYS_SQL, standbysIn } from '../topology/standbys.ts';
import type { NodeState, Topology } from '../topology/types.ts';
import { freeName, NodeTrials } from './node-trials.ts';
import { serverKey } from '../util/server-key.ts';

export interface DiscoveryParts {
  readonly database: string;
  settings(): Pick<RoutingSettings, 'autoDiscover' | 'discoverPort' | 'discoverForgetMs'>;
  /** Without what was found. */
  configured(): DatabaseConfig;
  topology(): Pick<Topology, 'snapshot' | 'ask' | 'tryNode'>;
  /** @param why some are gone */
  onChange(found: readonly NodeConfig[], why: string): void;
  /** See NodeTrialsParts. */
  readonly serverIds: Map<string, unknown>;
  readonly log: Log;
  nowMs(): number;
}

const roundMs = 1_500;

export class Discovery {
  private readonly parts: DiscoveryParts;
  private nodes: readonly NodeConfig[] = [];
  /** When each of them was last in the view. */
  private readonly seenAtMs = new Map<string, number>();
  private readonly trials: NodeTrials;
  private general: string | undefined;
  private dueAtMs = 0;
  private isRunning = false;
  private isStopped = false;

  constructor(parts: DiscoveryParts) {
    this.parts = parts;
    this.trials = new NodeTrials({
      ...parts,
      where: 'pg_stat_replication',
      isWanted: () => !this.isStopped && parts.settings().autoDiscover !== 'off',
      use: (node) => this.use(node),
    });
  }

  /** Those that do not stand in the configuration by now. */
  get found(): readonly NodeConfig[] {
    const configured = nodesOf(this.parts.configured());
    return this.nodes.filter((node) => !configured.some((other) => isSameNode(other, node)));
  }

  /** What an operator should know, as text. */
  get problem(): string | undefined {
    const { problems: unused } = this.trials;
    const problems = this.general === undefined ? unused : [this.general, ...unused];
    return problems.length === 0 ? undefined : problems.join('; ');
  }

  /** Called about ten times a second. */
  sweep(nowMs: number): void {
    if (this.parts.settings().autoDiscover === 'off') return this.nodes.length > 0 ? this.end() : undefined;
    if (this.isRunning || nowMs < this.dueAtMs) return;
    this.isRunning = true;
    this.dueAtMs = nowMs + roundMs;
    void this.round().finally(() => (this.isRunning = false));
  }

  stop(): void {
    this.isStopped = true;
  }

  /** The primary in office stays: without it nothing else that is known of the nodes would hold. */
  private end(): void {
    this.trials.keep([]);
    this.general = undefined;
    const kept = this.nodes.filter((node) => this.stateOf(node)?.role === 'primary');
    if (kept.length < this.nodes.length) this.change(kept, 'routing.auto_discover is off');
  }

  /** Never rejects. While the primary cannot be asked, everything stays. */
  private async round(): Promise<void> {
    const { topology, settings, configured } = this.parts;
    const { primary } = topology().snapshot();
    if (primary?.isUp !== true) return;
    let rows;
    try {
      rows = await topology().ask(primary.name, STANDBYS_SQL);
    } catch (error) {
      this.tell(`pg_stat_replication cannot be read: ${error instanceof Error ? error.message : String(error)}`);
      return;
    }
    if (this.isStopped) return;
    const { primary: first } = configured();
    const { nodes, hidden } = standbysIn(rows, first, settings().discoverPort ?? first.port);
    this.tell(
      hidden === 0
        ? undefined
        : `${hidden} standbys in pg_stat_replication cannot be seen: grant pg_monitor to the monitor's user`,
    );
    this.forget(nodes);
    this.dropTwin();
    await Promise.all(nodes.map((node) => this.consider(node)));
  }

  private tell(problem: string | undefined): void {
    if (problem !== undefined && problem !== this.general)
      this.parts.log('warn', 'discovery', problem, { database: this.parts.database });
    this.general = problem;
  }

  /** A walsender may be gone for a moment: a node goes only if it is down, too, and for long. */
  private forget(now: readonly NodeConfig[]): void {
    const nowMs = this.parts.nowMs();
    for (const node of now) this.seenAtMs.set(serverKey(node), nowMs);
    this.trials.keep(now);
    const { discoverForgetMs } = this.parts.settings();
    const kept = this.found.filter((node) => {
      const state = this.stateOf(node);
      const isUsed = state === undefined || state.isUp || state.role === 'primary';
      return isUsed || nowMs - (this.seenAtMs.get(serverKey(node)) ?? -Infinity) < discoverForgetMs;
    });
    for (const key of this.seenAtMs.keys())
      if (![...kept, ...now].some((node) => serverKey(node) === key)) this.seenAtMs.delete(key);
    if (kept.length < this.nodes.length)
      this.change(kept, `it is down, and not in pg_stat_replication for ${discoverForgetMs / 1000} s`);
  }

  /** Two addresses that were found at once, or one of a node that did not answer then. At most one each time. */
  private dropTwin(): void {
    const { nodes } = this.parts.topology().snapshot();
    const twinOf = (node: NodeConfig): NodeState | undefined => {
      const state = this.stateOf(node);
      if (state?.serverId === undefined || state.role === 'primary') return undefined;
      const { name, serverId } = state;
      return nodes.find((other) => other.name !== name && other.isUp && other.serverId === serverId);
    };
    // The last that has come first.
    for (const node of [...this.found].reverse()) {
      const twin = twinOf(node);
      if (twin === undefined) continue;
      const kept = this.nodes.filter((other) => other !== node);
      return this.change(kept, `it is ${twin.name} under another address`);
    }
  }

  private stateOf({ name }: NodeConfig): NodeState | undefined {
    return this.parts
      .topology()
      .snapshot()
      .nodes.find((node) => node.name === name);
  }

  private async consider(node: NodeConfig): Promise<void> {
    const known = [...nodesOf(this.parts.configured()), ...this.nodes];
    if (known.some((other) => serverKey(other) === serverKey(node))) this.trials.settled(node);
    else await this.trials.consider(node);
  }

  private use(node: NodeConfig): void {
    const taken = [...nodesOf(this.parts.configured()), ...this.nodes];
    // Another may have come in the meantime.
    if (taken.some((other) => serverKey(other) === serverKey(node))) return;
    const name = freeName([node.name, node.host, serverKey(node)], taken);
    this.change([...this.nodes, { ...node, name }], '');
  }

  private change(nodes: readonly NodeConfig[], why: string): void {
    this.nodes = nodes;
    this.parts.onChange(nodes, why);
  }
}
