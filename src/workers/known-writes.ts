/**
 * A client is told of its commit when all workers know of the write: its worker asks the supervisor, that asks the others, and each
 * answers when the message about the write has arrived there, through the store that they share. So what was acknowledged to one
 * client is seen by the clients of all workers (docs/consistency.md).
 */
import type { Writes } from './write-topics.ts';
import type { SupervisorChannel, WorkerChannel } from './messages.ts';

/** In a worker: asks about its own writes, and answers about those of others. */
export class KnownWrites {
  private readonly channel: SupervisorChannel;
  private readonly patienceMs: number;
  /** Of this turn of the event loop: they are asked about together. */
  private tokens: string[] = [];
  private asked: Promise<void> | undefined = undefined;

  /** @param leaseMs how long a worker that hears nothing may go on showing what is cached */
  constructor(channel: SupervisorChannel, leaseMs: number) {
    this.channel = channel;
    this.patienceMs = leaseMs + longestTellingMs;
  }

  /** @param known resolves when this worker has heard of the write */
  answer(known: (token: string) => Promise<void>): void {
    this.channel.on('writes', async (tokens) => {
      await Promise.all(tokens.map(known));
      return undefined;
    });
  }

  /** Resolves when all other workers know of the write, or are known to show nothing that is cached. Never rejects. */
  readonly knownToOthers = (token: string): Promise<void> => {
    this.tokens.push(token);
    this.asked ??= new Promise((resolve) => {
      setImmediate(() => resolve(this.ask()));
    });
    return this.asked;
  };

  private async ask(): Promise<void> {
    const { tokens, patienceMs } = this;
    this.tokens = [];
    this.asked = undefined;
    const ask = (): Promise<undefined> => this.channel.ask('writes', { tokens, patienceMs });
    // A supervisor that leaves refuses what it has not answered; the next one is asked again. Without any a worker ends.
    await ask()
      .catch(ask)
      .catch(() => undefined);
  }
}

/** The message may come so long after the question; a worker whose message takes longer has lost the store (cache/redis-sync.ts). */
const longestTellingMs = 2_000;

interface Unanswered {
  count: number;
  sinceMs: number;
}

/** In the supervisor: asks all other workers about the writes of one. */
export class HeardByAll {
  private readonly unanswered = new WeakMap<WorkerChannel, Unanswered>();
  private readonly nowMs: () => number;
  private readonly serving: () => Iterable<{ readonly channel: WorkerChannel }>;

  /** @param serving the workers that have clients: another one shows nothing before it has asked the store */
  constructor(nowMs: () => number, serving: () => Iterable<{ readonly channel: WorkerChannel }>) {
    this.nowMs = nowMs;
    this.serving = serving;
  }

  /** @param own of the worker that asks */
  async ask(own: WorkerChannel, { tokens, patienceMs }: Writes): Promise<undefined> {
    const others = Array.from(this.serving(), ({ channel }) => channel).filter((channel) => channel !== own);
    const waited = others.filter((other) => this.silentMs(other) <= patienceMs);
    await Promise.all(waited.map((other) => this.askOne(other, tokens)));
    return undefined;
  }

  private silentMs(other: WorkerChannel): number {
    const { count, sinceMs } = this.unansweredBy(other);
    return count === 0 ? 0 : this.nowMs() - sinceMs;
  }

  private async askOne(other: WorkerChannel, tokens: readonly string[]): Promise<void> {
    const unanswered = this.unansweredBy(other);
    if (unanswered.count++ === 0) unanswered.sinceMs = this.nowMs();
    // One that is gone shows nothing.
    await other.ask('writes', tokens).catch(() => undefined);
    unanswered.count--;
    unanswered.sinceMs = this.nowMs();
  }

  private unansweredBy(other: WorkerChannel): Unanswered {
    let found = this.unanswered.get(other);
    if (found === undefined) this.unanswered.set(other, (found = { count: 0, sinceMs: 0 }));
    return found;
  }
}
