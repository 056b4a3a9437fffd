/**
 * The nodes of a load, each with its pool, and which one the next statement goes to: by the policy and the circuit breaker of Weir, as
 * they are, or in turns, as a client does that has a PgBouncer for each replica and knows nothing of them.
 */
import { policies } from '../../src/balancing/policies.ts';
import type { Pick } from '../../src/balancing/types.ts';
import { createLatencyBaselines, noteLatency } from '../../src/routing/latency.ts';
import {
  eject,
  follow,
  isEjected,
  newCircuit,
  noteAnswers,
  noteFailure,
  tooManyFailures,
} from '../../src/topology/circuit.ts';
import type { Events } from './events.ts';
import { SimulatedNode, type NodeModel } from './node.ts';
import type { Pooled } from './pooled.ts';

/** The monitor asks each node so often. */
const probeEveryMs = 1_000;
/** Statements at a time on a node that is half-open. */
const mostTrials = 3;

export class Place {
  readonly node: SimulatedNode;
  readonly pooled: Pooled;
  readonly name = 'simulated';
  readonly config = { weight: 1 };
  readonly slowStart = 1;
  readonly load = {
    ...{ outstanding: 0, ewma: 1, ewmaAtMs: 0, fallbackReads: 0, fallbackRoom: 0, answered: 0, trials: 0 },
  };
  readonly circuit = newCircuit(0);
  /** Statements that run, and how each is told that the node is gone. */
  readonly running = new Set<() => void>();

  constructor(events: Events, model: NodeModel, pooledOf: (node: SimulatedNode) => Pooled) {
    this.node = new SimulatedNode(events, model);
    this.pooled = pooledOf(this.node);
  }
}

export class Places {
  readonly all: readonly Place[];
  private readonly events: Events;
  private readonly random: () => number;
  private readonly isRouting: boolean;
  private readonly baselines = createLatencyBaselines();
  private readonly turn = { value: 0 };
  private asked = 0;

  constructor(events: Events, random: () => number, all: readonly Place[], isRouting: boolean) {
    this.all = all;
    this.events = events;
    this.random = random;
    this.isRouting = isRouting && all.length > 1;
    if (this.isRouting) this.probe();
  }

  next(): Place {
    const { all } = this;
    if (!this.isRouting) return all[this.asked++ % all.length] as Place;
    let set = 0;
    for (const [index, place] of all.entries()) if (takesWork(place)) set |= 1 << index;
    if (set === 0) return all[0] as Place;
    const pick: Pick<Place> = { node: undefined, cost: 0, other: undefined, otherCost: 0 };
    policies['least-load'](pick, all, set, this.random, this.turn, this.events.nowMs(), '');
    return pick.node as Place;
  }

  answered({ load }: Place, latencyMs: number, kind: string): void {
    load.answered++;
    if (this.isRouting) noteLatency(load, this.baselines.of(kind, latencyMs), latencyMs, this.events.nowMs());
  }

  /** A transport failure. As topology/circuit-judge.ts, which needs the rest of a topology. */
  failed({ circuit, load, pooled }: Place): void {
    if (!this.isRouting) return;
    const nowMs = this.events.nowMs();
    noteAnswers(circuit, load, nowMs);
    noteFailure(circuit, nowMs);
    const why = isEjected(circuit, nowMs) ? undefined : tooManyFailures(circuit, nowMs);
    if (why !== undefined) eject(circuit, why, false, nowMs);
    if (circuit.state === 'open') pooled.pool.sendElsewhere(circuit.why);
  }

  /** Another node can take what was to run on this one. */
  canSpare(place: Place): boolean {
    return this.isRouting && this.all.some((other) => other !== place && takesWork(other));
  }

  /** A node goes down, with all that runs on it, or comes back. */
  setDown({ node, pooled, running }: Place, isDown: boolean): void {
    if (node.isDown === isDown) return;
    node.isDown = isDown;
    if (!isDown) return;
    for (const lost of [...running]) lost();
    for (const server of pooled.pool.servers()) pooled.end(server, 'the server closed the connection');
  }

  private probe(): void {
    const nowMs = this.events.nowMs();
    for (const { circuit, load, node, pooled } of this.all) {
      noteAnswers(circuit, load, nowMs);
      const failure = node.isDown ? 'connection refused' : undefined;
      const seen = { isPrimary: false, isUp: !node.isDown, failure, isSilent: false, wasShort: false };
      follow(circuit, seen, nowMs);
      if (circuit.state === 'open') pooled.pool.sendElsewhere(circuit.why);
    }
    this.events.after(probeEveryMs, () => this.probe());
  }
}

function takesWork({ circuit, load }: Place): boolean {
  if (circuit.state === 'half-open') return load.outstanding < mostTrials;
  return circuit.state === 'closed';
}
