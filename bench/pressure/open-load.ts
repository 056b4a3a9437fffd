/**
 * Statements that come at a steady pace, whatever becomes of those before: what an overload is made of. Each has a client of its own
 * out of a stock of connected ones, and that client gives up after its patience: it closes its connection and a new one takes its
 * place, or it stays and ignores the answer.
 */
import { PlainClient } from './client.ts';
import { quantile } from '../numbers.ts';

export interface OpenLoad {
  readonly port: number;
  readonly sql: string;
  readonly perSecond: number;
  /** The first seconds, which are not counted, and those that are. */
  readonly warmUpSeconds: number;
  readonly seconds: number;
  readonly patienceMs: number;
  readonly whoGivesUp: 'leaves' | 'stays';
  /** Clients that are connected at the same time at most; a statement that finds none has given up. */
  readonly mostClients: number;
}

export interface Outcome {
  /** Answers in a second that came in time. */
  readonly perSecond: number;
  readonly p50Ms: number | undefined;
  readonly p99Ms: number | undefined;
  readonly refusedPerSecond: number;
  readonly gaveUpPerSecond: number;
  /** Answers in time, by the second in which they came, from the beginning. */
  readonly bySecond: readonly number[];
}

const tickMs = 2;
/** How many log in at the same time: more would be a test of the log-in. */
const loginsAtOnce = 50;

class Run {
  private readonly load: OpenLoad;
  private readonly idle: PlainClient[] = [];
  private readonly all = new Set<PlainClient>();
  private connecting = 0;
  private isOver = false;
  readonly tookMs: number[] = [];
  readonly bySecond: number[] = [];
  refused = 0;
  gaveUp = 0;

  constructor(load: OpenLoad) {
    this.load = load;
  }

  async fill(): Promise<void> {
    const { mostClients } = this.load;
    while (this.all.size < mostClients) {
      const batch = Math.min(loginsAtOnce, mostClients - this.all.size);
      await Promise.all(Array.from({ length: batch }, () => this.connect()));
    }
  }

  private async connect(): Promise<void> {
    this.connecting++;
    const client = await PlainClient.connect(this.load.port).catch(() => undefined);
    this.connecting--;
    if (client === undefined) return;
    if (this.isOver) return client.leave();
    this.all.add(client);
    this.idle.push(client);
  }

  private replace(): void {
    const missing = this.load.mostClients - this.all.size - this.connecting;
    for (let i = 0; i < Math.min(missing, loginsAtOnce - this.connecting); i++) void this.connect();
  }

  async play(): Promise<void> {
    const { perSecond, warmUpSeconds, seconds, patienceMs } = this.load;
    const startMs = performance.now();
    const count = perSecond * (warmUpSeconds + seconds);
    let sent = 0;
    await new Promise<void>((resolve) => {
      const timer = setInterval(() => {
        const now = performance.now();
        this.replace();
        for (; sent < count && startMs + (sent * 1000) / perSecond <= now; sent++) {
          void this.one(startMs, startMs + (sent * 1000) / perSecond);
        }
        if (sent < count) return;
        clearInterval(timer);
        setTimeout(resolve, patienceMs);
      }, tickMs);
    });
    this.isOver = true;
    for (const client of this.all) client.leave();
  }

  /** What ends in the seconds that are counted is counted. */
  private async one(startMs: number, dueMs: number): Promise<void> {
    const { sql, patienceMs, whoGivesUp, warmUpSeconds, seconds } = this.load;
    const secondNow = (): number => Math.floor((performance.now() - startMs) / 1000);
    const isCounted = (second: number): boolean => second >= warmUpSeconds && second < warmUpSeconds + seconds;
    const client = this.idle.pop();
    if (client === undefined) return void (isCounted(secondNow()) && this.gaveUp++);
    let isLate = false;
    const timer = setTimeout(
      () => {
        isLate = true;
        if (isCounted(secondNow())) this.gaveUp++;
        if (whoGivesUp === 'leaves') client.leave();
      },
      patienceMs - (performance.now() - dueMs),
    );
    const { refused } = await client.ask(sql);
    clearTimeout(timer);
    if (client.isGone) this.all.delete(client);
    else this.idle.push(client);
    if (isLate) return;
    const second = secondNow();
    if (refused === undefined) this.bySecond[second] = (this.bySecond[second] ?? 0) + 1;
    if (!isCounted(second)) return;
    if (refused === undefined) this.tookMs.push(performance.now() - dueMs);
    else this.refused++;
  }
}

export async function playOpen(load: OpenLoad): Promise<Outcome> {
  const run = new Run(load);
  await run.fill();
  await run.play();
  const { seconds, warmUpSeconds } = load;
  const sorted = run.tookMs.sort((a, b) => a - b);
  return {
    perSecond: sorted.length / seconds,
    p50Ms: quantile(sorted, 0.5),
    p99Ms: quantile(sorted, 0.99),
    refusedPerSecond: run.refused / seconds,
    gaveUpPerSecond: run.gaveUp / seconds,
    bySecond: Array.from({ length: warmUpSeconds + seconds }, (_, second) => run.bySecond[second] ?? 0),
  };
}
