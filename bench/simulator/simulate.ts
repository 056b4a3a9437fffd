/** Plays one load against one way to size a pool, and tells what came out. The same seed gives the same figures. */
import type { PoolSettings } from '../../src/config/config.ts';
import { assemble, defaultValues } from '../../src/config/assemble.ts';
import type { ResizeMode } from '../../src/sizing/at-once-loop.ts';
import { Clients } from './clients.ts';
import { Events, numbersFrom } from './events.ts';
import { SimulatedNode, type NodeModel, type Work } from './node.ts';
import { Pooled } from './pooled.ts';

/** A way to size a pool. */
export interface Policy {
  readonly name: string;
  readonly settings: Partial<PoolSettings>;
  readonly isResizing: boolean;
  readonly mode?: ResizeMode;
}

export interface Load {
  readonly name: string;
  readonly node: NodeModel;
  /** The work of the next statement. */
  work(random: () => number, nowMs: number): Work;
  /** Open: so many statements come in a second, whatever becomes of them. */
  perSecond?(nowMs: number): number;
  /** Closed: so many clients, each of which asks again `thinkMs` after its answer. */
  clients?(nowMs: number): number;
  readonly thinkMs?: number;
  readonly patienceMs: number;
  readonly seconds: number;
}

export interface Figures {
  /** Answers in a second that came before their clients gave up. */
  readonly perSecond: number;
  /** The same as part of the CPU that the node has. */
  readonly goodput: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly refusedPerSecond: number;
  readonly gaveUpPerSecond: number;
  readonly resizes: number;
  readonly size: number;
  /** Statements that may run at once at the end; Infinity: no limit. */
  readonly atOnce: number;
  readonly said: readonly string[];
}

/** The first seconds are not counted: pools are empty then. */
const warmUpMs = 3_000;

export async function simulate(load: Load, policy: Policy, seed = 1): Promise<Figures> {
  const events = new Events();
  const random = numbersFrom(seed);
  const node = new SimulatedNode(events, load.node);
  const { pool, resize } = assemble(defaultValues(), new Map());
  const pooled = new Pooled(events, random, {
    settings: { ...pool, ...policy.settings },
    resize: { ...resize, enabled: policy.isResizing },
    mode: policy.mode ?? 'off',
    connectionLimit: 200,
  });
  const clients = new Clients(events, pooled, node, warmUpMs);
  if (load.perSecond !== undefined) comeAndGo(load, load.perSecond, clients, events, random);
  else askAgain(load, clients, events, random);
  const endMs = warmUpMs + load.seconds * 1000;
  await events.run(endMs);
  const { answeredMs, goodCpuMs, refused, gaveUp } = clients.outcomes;
  const sorted = [...answeredMs].sort((a, b) => a - b);
  const { limit } = pooled.pool.stats();
  return {
    perSecond: sorted.length / load.seconds,
    goodput: goodCpuMs / (load.seconds * 1000 * load.node.cores),
    p50Ms: sorted[Math.floor(sorted.length * 0.5)] ?? Infinity,
    p99Ms: sorted[Math.floor(sorted.length * 0.99)] ?? Infinity,
    refusedPerSecond: refused / load.seconds,
    gaveUpPerSecond: gaveUp / load.seconds,
    resizes: pooled.resizes,
    size: limit,
    atOnce: pooled.pool.atOnce.limit,
    said: pooled.said,
  };
}

function comeAndGo(
  { work, patienceMs }: Load,
  perSecond: (nowMs: number) => number,
  clients: Clients,
  events: Events,
  random: () => number,
): void {
  const next = (): void => {
    const now = events.nowMs();
    clients.ask(work(random, now), patienceMs, () => undefined);
    // Poisson: nobody knows of the others.
    events.after((-Math.log(1 - random()) * 1000) / perSecond(now), next);
  };
  next();
}

function askAgain(load: Load, clients: Clients, events: Events, random: () => number): void {
  let there = 0;
  const one = (): void => {
    const now = events.nowMs();
    if (there > (load.clients?.(now) ?? 0)) return void there--;
    clients.ask(load.work(random, now), load.patienceMs, () => events.after(load.thinkMs ?? 0, one));
  };
  const fill = (): void => {
    const wanted = load.clients?.(events.nowMs()) ?? 0;
    for (; there < wanted; there++) events.after(random() * 100, one);
    events.after(100, fill);
  };
  fill();
}
