/** Simulated clients: they ask, wait, give up, and note what became of each statement. */
import type { ServerConnection } from '../../src/backend/server.ts';
import type { Events } from './events.ts';
import type { SimulatedNode, Work } from './node.ts';
import type { Pooled } from './pooled.ts';

export interface Outcomes {
  /** How long those waited that were answered before their client gave up; ms from the first word to the answer. */
  readonly answeredMs: number[];
  /** The work of those; ms of CPU. */
  goodCpuMs: number;
  refused: number;
  gaveUp: number;
}

export function newOutcomes(): Outcomes {
  return { answeredMs: [], goodCpuMs: 0, refused: 0, gaveUp: 0 };
}

export class Clients {
  readonly outcomes = newOutcomes();
  private readonly events: Events;
  private readonly pooled: Pooled;
  private readonly node: SimulatedNode;
  private readonly fromMs: number;

  /** @param fromMs what begins earlier is not counted */
  constructor(events: Events, pooled: Pooled, node: SimulatedNode, fromMs: number) {
    this.events = events;
    this.pooled = pooled;
    this.node = node;
    this.fromMs = fromMs;
  }

  /**
   * One statement. @param patienceMs then the client leaves
   * @param over is called with its end, whatever that is
   */
  ask(work: Work, patienceMs: number, over: () => void): void {
    const { events, pooled } = this;
    const sinceMs = events.nowMs();
    let isOver = false;
    const end = (how: 'answered' | 'refused' | 'gave up'): void => {
      if (isOver) return;
      isOver = true;
      stopWaiting();
      if (sinceMs >= this.fromMs) this.count(how, events.nowMs() - sinceMs, work);
      over();
    };
    const run = (server: ServerConnection): void => {
      pooled.take(server);
      const sentAtMs = events.nowMs();
      this.node.run(work, () => {
        pooled.pool.atOnce.ended(events.nowMs() - sentAtMs, work.cpuMs + work.waitMs);
        // PostgreSQL finishes what it has begun, also for a client that is gone.
        pooled.giveBack(server);
        end('answered');
      });
    };
    const stopWaiting = events.after(patienceMs, () => {
      ticket?.cancel();
      end('gave up');
    });
    const idle = pooled.pool.tryCheckout();
    const ticket =
      idle !== undefined
        ? void run(idle)
        : pooled.pool.wait(
            {
              ...{ user: 'app', priority: 'normal', mayGoElsewhere: false, mayShare: () => false },
              granted: run,
              refused: () => end('refused'),
            },
            sinceMs,
          );
  }

  private count(how: 'answered' | 'refused' | 'gave up', tookMs: number, { cpuMs }: Work): void {
    const { outcomes } = this;
    if (how === 'refused') outcomes.refused++;
    else if (how === 'gave up') outcomes.gaveUp++;
    else {
      outcomes.answeredMs.push(tookMs);
      outcomes.goodCpuMs += cpuMs;
    }
  }
}
