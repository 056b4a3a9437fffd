/** Simulated clients: they ask, wait, give up, and note what became of each statement. */
import type { ServerConnection } from '../../src/backend/server.ts';
import { createLatencyBaselines, noteAlone } from '../../src/routing/latency.ts';
import type { Events } from './events.ts';
import type { Work } from './node.ts';
import type { Place, Places } from './places.ts';

export interface Outcomes {
  /** How long those waited that were answered before their client gave up; ms from the first word to the answer. */
  readonly answeredMs: number[];
  /** The work of those; ms of CPU. */
  goodCpuMs: number;
  refused: number;
  gaveUp: number;
  /** Answers in time, by the second in which they came. */
  readonly bySecond: number[];
}

type End = 'answered' | 'refused' | 'gave up';

/** A statement until its end. */
interface Asked {
  readonly work: Work;
  readonly sinceMs: number;
  isOver: boolean;
  /** Its client gives up: it leaves the queue, or its server. */
  leave: () => void;
  end?: (how: End) => void;
}

export function newOutcomes(): Outcomes {
  return { answeredMs: [], goodCpuMs: 0, refused: 0, gaveUp: 0, bySecond: [] };
}

export class Clients {
  readonly outcomes = newOutcomes();
  private readonly baselines = createLatencyBaselines();
  private readonly events: Events;
  private readonly places: Places;
  private readonly fromMs: number;
  /** Weir cancels what a client has left; PostgreSQL finishes it for a PgBouncer that has closed the connection. */
  private readonly isCancelling: boolean;

  /** @param fromMs what begins earlier is not counted */
  constructor(events: Events, places: Places, { fromMs, isCancelling }: { fromMs: number; isCancelling: boolean }) {
    this.events = events;
    this.places = places;
    this.fromMs = fromMs;
    this.isCancelling = isCancelling;
  }

  /**
   * One statement. @param patienceMs then the client leaves
   * @param over is called with its end, whatever that is
   */
  ask(work: Work, patienceMs: number, over: () => void): void {
    const sinceMs = this.events.nowMs();
    const asked: Asked = { work, sinceMs, isOver: false, leave: () => undefined };
    const stopWaiting = this.events.after(patienceMs, () => {
      asked.leave();
      asked.end?.('gave up');
    });
    asked.end = (how) => {
      if (asked.isOver) return;
      asked.isOver = true;
      stopWaiting();
      if (sinceMs >= this.fromMs) this.count(how, this.events.nowMs() - sinceMs, work);
      over();
    };
    this.send(asked);
  }

  private send(asked: Asked): void {
    const place = this.places.next();
    const { pool } = place.pooled;
    let isWaiting = true;
    const granted = (server: ServerConnection): void => {
      isWaiting = false;
      this.run(asked, place, server);
    };
    place.load.outstanding++;
    const refused = (isElsewhere: boolean): void => {
      isWaiting = false;
      place.load.outstanding--;
      if (isElsewhere) this.again(asked, place);
      else asked.end?.('refused');
    };
    const idle = pool.tryCheckout();
    if (idle !== undefined) return granted(idle);
    const ticket = pool.wait(
      {
        ...{ user: 'app', priority: 'normal', mayGoElsewhere: this.places.canSpare(place), mayShare: () => false },
        granted,
        refused: (_error, isElsewhere) => refused(isElsewhere),
      },
      asked.sinceMs,
    );
    if (!isWaiting) return;
    asked.leave = () => {
      ticket?.cancel();
      place.load.outstanding--;
    };
  }

  private run(asked: Asked, place: Place, server: ServerConnection): void {
    const { pooled, node, load, running } = place;
    const { template } = asked.work;
    pooled.take(server);
    const sentAtMs = this.events.nowMs();
    let isLeft = false;
    const cancel = node.run(asked.work, () => {
      if (isLeft) return;
      const tookMs = this.events.nowMs() - sentAtMs;
      running.delete(lost);
      load.outstanding--;
      const now = this.events.nowMs();
      const baseline = this.baselines.of(template, tookMs);
      noteAlone(baseline, tookMs, now);
      pooled.pool.atOnce.ended(tookMs, baseline.aloneMs, baseline.number);
      this.places.answered(place, tookMs, template);
      pooled.giveBack(server);
      asked.end?.('answered');
    });
    const gone = (why: string): void => {
      running.delete(lost);
      load.outstanding--;
      pooled.end(server, why);
    };
    const lost = (): void => {
      cancel();
      gone('the server closed the connection');
      this.places.failed(place);
      this.again(asked, place);
    };
    running.add(lost);
    asked.leave = () => {
      isLeft = true;
      if (this.isCancelling) cancel();
      pooled.pool.atOnce.left(this.events.nowMs() - sentAtMs);
      gone('its client left in mid-statement');
    };
  }

  /** The node is gone: a read runs again on another one, if there is one. */
  private again(asked: Asked, place: Place): void {
    if (asked.isOver) return;
    asked.leave = () => undefined;
    if (this.places.canSpare(place)) this.send(asked);
    else asked.end?.('refused');
  }

  private count(how: End, tookMs: number, { cpuMs }: Work): void {
    const { outcomes } = this;
    if (how === 'refused') outcomes.refused++;
    else if (how === 'gave up') outcomes.gaveUp++;
    else {
      const second = Math.floor((this.events.nowMs() - this.fromMs) / 1000);
      outcomes.bySecond[second] = (outcomes.bySecond[second] ?? 0) + 1;
      outcomes.answeredMs.push(tookMs);
      outcomes.goodCpuMs += cpuMs;
    }
  }
}
