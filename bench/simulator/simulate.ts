/** Plays one load against one way to size a pool, and tells what came out. The same seed gives the same figures. */
import type { PoolSettings } from '../../src/config/config.ts';
import { assemble, defaultValues } from '../../src/config/assemble.ts';
import type { ResizeMode } from '../../src/sizing/at-once-loop.ts';
import { Clients } from './clients.ts';
import { Events, numbersFrom } from './events.ts';
import type { NodeModel, Work } from './node.ts';
import { Place, Places } from './places.ts';
import { Pooled } from './pooled.ts';

/** A way to size a pool. */
export interface Policy {
  readonly name: string;
  readonly settings: Partial<PoolSettings>;
  readonly isResizing: boolean;
  readonly mode?: ResizeMode;
  /** Log-ins at the same time; left out: as Weir does. */
  readonly loginsAtOnce?: number;
  /** As PgBouncer's clients: replicas in turns, and what a client has left runs to its end. */
  readonly isPlain?: boolean;
}

export interface Load {
  readonly name: string;
  readonly node: NodeModel;
  /** More nodes of this kind: reads may go to any. */
  readonly replicas?: number;
  /** When the last of the nodes is down: its connections end, and it takes none. */
  isDown?(nowMs: number): boolean;
  /** How much slower it is than the others. */
  slowness?(nowMs: number): number;
  /** The work of the next statement. */
  work(random: () => number, nowMs: number): Work;
  /** Open: so many statements come in a second, whatever becomes of them. */
  perSecond?(nowMs: number): number;
  /** Closed: so many clients, each of which asks again `thinkMs` after its answer. */
  clients?(nowMs: number): number;
  readonly thinkMs?: number;
  readonly patienceMs: number;
  readonly seconds: number;
  /** Not counted before: pools are empty then. Left out: 3. */
  readonly warmUpSeconds?: number;
}

export interface Figures {
  /** Answers in a second that came before their clients gave up. */
  readonly perSecond: number;
  /** The same as part of the CPU that the nodes have. */
  readonly goodput: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly refusedPerSecond: number;
  readonly gaveUpPerSecond: number;
  readonly resizes: number;
  /** Resizes in an hour, if it went on like in the last half. */
  readonly resizesPerHour: number;
  readonly size: number;
  /** Statements that may run at once at the end; Infinity: no limit. */
  readonly atOnce: number;
  readonly said: readonly string[];
  /** Answers in time in each second. */
  readonly bySecond: readonly number[];
}

export async function simulate(load: Load, policy: Policy, seed = 1): Promise<Figures> {
  const events = new Events();
  const random = numbersFrom(seed);
  const places = placesOf(load, policy, events, random);
  const warmUpMs = 1000 * (load.warmUpSeconds ?? 3);
  const clients = new Clients(events, places, { fromMs: warmUpMs, isCancelling: policy.isPlain !== true });
  if (load.perSecond !== undefined) comeAndGo(load, load.perSecond, clients, events, random);
  else askAgain(load, clients, events, random);
  if (load.isDown !== undefined || load.slowness !== undefined) disturb(load, places, events);
  const endMs = warmUpMs + load.seconds * 1000;
  const resizes = (): number => places.all.reduce((sum, { pooled }) => sum + pooled.resizes, 0);
  await events.run(endMs / 2);
  const resizesBefore = resizes();
  await events.run(endMs);
  const { answeredMs, goodCpuMs, refused, gaveUp, bySecond } = clients.outcomes;
  const sorted = [...answeredMs].sort((a, b) => a - b);
  const { pooled } = places.all[0] as Place;
  return {
    perSecond: sorted.length / load.seconds,
    goodput: goodCpuMs / (load.seconds * 1000 * load.node.cores * places.all.length),
    p50Ms: sorted[Math.floor(sorted.length * 0.5)] ?? Infinity,
    p99Ms: sorted[Math.floor(sorted.length * 0.99)] ?? Infinity,
    refusedPerSecond: refused / load.seconds,
    gaveUpPerSecond: gaveUp / load.seconds,
    resizes: resizes(),
    resizesPerHour: ((resizes() - resizesBefore) * 3_600_000) / (endMs / 2),
    size: pooled.pool.stats().limit,
    atOnce: pooled.pool.atOnce.limit,
    said: pooled.said,
    bySecond: Array.from({ length: load.seconds }, (_, second) => bySecond[second] ?? 0),
  };
}

function placesOf(load: Load, policy: Policy, events: Events, random: () => number): Places {
  const { pool, resize } = assemble(defaultValues(), { databases: new Map(), users: new Map() });
  const options = {
    settings: { ...pool, ...policy.settings },
    resize: { ...resize, enabled: policy.isResizing },
    mode: policy.mode ?? 'off',
    connectionLimit: 200,
    loginsAtOnce: policy.loginsAtOnce,
  } as const;
  const all = Array.from(
    { length: 1 + (load.replicas ?? 0) },
    () => new Place(events, load.node, (node) => new Pooled(events, random, node, options)),
  );
  return new Places(events, random, all, policy.isPlain !== true);
}

/** What happens to the last node. */
function disturb(load: Load, places: Places, events: Events): void {
  const last = places.all.at(-1) as Place;
  const look = (): void => {
    places.setDown(last, load.isDown?.(events.nowMs()) ?? false);
    last.node.slowness = load.slowness?.(events.nowMs()) ?? 1;
    events.after(100, look);
  };
  look();
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
