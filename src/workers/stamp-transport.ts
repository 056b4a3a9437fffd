/**
 * The Transport of a worker: its cache shares stamps through the memory of the supervisor (workers/stamps.ts), over the
 * channel that the two have anyway. That cannot be closed and made anew, so a connection here begins with `subscribe` and ends
 * when the cache gives it up; what still arrives of it is dropped. Made in a worker, if cache.redis is not set.
 */
import type { Tag } from '../binding/plan.ts';
import { waitAtMost } from '../cache/deadlines.ts';
import type { EntryWrite, HelloReply, HelloRequest, OpenReply, ReadReply } from '../cache/transport.ts';
import type { Transport, TransportEvents } from '../cache/transport.ts';
import type { SupervisorChannel } from './messages.ts';
import type { StampCalls, StampCommand, StampKind, StampWord } from './stamp-topics.ts';

interface Waiting {
  resolve(body: unknown): void;
  reject(error: Error): void;
}

/** 'subscribing': one command waits for its answer, however long that takes; no other is sent before. */
type State = 'stopped' | 'waiting' | 'subscribing' | 'connected';

const soonMs = 100;
const firstRefusalMs = 500;
const longestRefusalMs = 30_000;
/** How long a worker waits at its end for the supervisor to confirm that it leaves. */
const leaveMs = 500;

export class StampTransport implements Transport {
  readonly kind = 'workers';
  private readonly channel: SupervisorChannel;
  private readonly instanceId: string;
  private readonly waiting = new Map<number, Waiting>();
  private events: TransportEvents | undefined = undefined;
  private state: State = 'stopped';
  private lastId = 0;
  private subscribeId = 0;
  private refusals = 0;
  private retry: NodeJS.Timeout | undefined = undefined;
  private why: string | undefined = undefined;
  /** To be sent when this turn of the event loop ends. */
  private unsent: StampCommand[] = [];

  constructor(channel: SupervisorChannel, instanceId: string) {
    this.channel = channel;
    this.instanceId = instanceId;
    channel.on('stamps', (words) => {
      for (const word of words) this.heard(word);
      return undefined;
    });
    channel.onClosed(() => this.lost('the supervisor is gone'));
  }

  /** Why the supervisor cannot be asked. */
  get problem(): string | undefined {
    return this.why;
  }

  start(events: TransportEvents): void {
    this.events = events;
    this.connect();
  }

  hello(request: HelloRequest): Promise<HelloReply> {
    return this.call('hello', request);
  }

  async read(tags: readonly Tag[], entryName: string): Promise<ReadReply> {
    const reply = await this.call('read', { tags, entryName });
    const { entry } = reply;
    return entry === undefined || entry === 'foreign' ? reply : { ...reply, entry: asBuffer(entry) };
  }

  close(tags: readonly Tag[], token: string, note: string): Promise<string> {
    return this.call('close', { tags, token, note });
  }

  open(tags: readonly Tag[], token: string, bump: boolean): Promise<OpenReply> {
    return this.call('open', { tags, token, bump });
  }

  store(write: EntryWrite): Promise<boolean> {
    return this.call('store', write);
  }

  tagsLike(patterns: readonly string[], most: number): Promise<readonly Tag[] | undefined> {
    return this.call('tagsLike', { patterns, most });
  }

  remove(entryName: string): Promise<undefined> {
    return this.call('remove', entryName);
  }

  reset(why: string, isRefused: boolean): void {
    if (isRefused) this.refusals++;
    this.lost(why, isRefused ? Math.min(firstRefusalMs * 2 ** (this.refusals - 1), longestRefusalMs) : soonMs);
  }

  settled(): void {
    this.refusals = 0;
  }

  async stop(isLeaving: boolean): Promise<void> {
    clearTimeout(this.retry);
    this.events = undefined;
    if (isLeaving) await waitAtMost(this.call('leave', undefined), leaveMs).catch(() => undefined);
    this.state = 'stopped';
    this.rejectAll(new Error('stopped'));
  }

  private connect(): void {
    if (this.channel.isClosed) return;
    this.state = 'subscribing';
    this.subscribeId = this.post('subscribe', undefined);
  }

  private subscribed(): void {
    if (this.state !== 'subscribing') return;
    this.state = 'connected';
    this.why = undefined;
    this.events?.onConnected();
  }

  private lost(why: string, retryMs?: number): void {
    if (this.state !== 'connected' && this.state !== 'subscribing') return;
    const wasConnected = this.state === 'connected';
    this.state = 'waiting';
    this.why = why;
    this.unsent = [];
    this.rejectAll(new Error(why));
    if (this.events === undefined) return;
    if (retryMs !== undefined) this.retry = setTimeout(() => this.connect(), retryMs).unref();
    if (wasConnected) this.events.onLost(why);
  }

  private rejectAll(error: Error): void {
    const all = [...this.waiting.values()];
    this.waiting.clear();
    for (const { reject } of all) reject(error);
  }

  private call<Kind extends StampKind>(kind: Kind, body: StampCalls[Kind]['body']): Promise<StampCalls[Kind]['reply']> {
    if (this.state !== 'connected') return Promise.reject(new Error('not connected'));
    const id = this.post(kind, body);
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve: resolve as (body: unknown) => void, reject });
    });
  }

  /** @returns the ID that the answer will have */
  private post<Kind extends StampKind>(kind: Kind, body: StampCalls[Kind]['body']): number {
    const id = ++this.lastId;
    if (this.unsent.length === 0) setImmediate(() => this.flush());
    this.unsent.push({ id, kind, body } as StampCommand);
    return id;
  }

  private flush(): void {
    const commands = this.unsent;
    if (commands.length === 0) return;
    this.unsent = [];
    this.channel.tell('stamps', { member: this.instanceId, commands });
  }

  private heard(word: StampWord): void {
    if (word.kind === 'message') {
      if (this.state === 'connected') this.events?.onMessage(word.text);
      return;
    }
    if (word.id === this.subscribeId) return word.kind === 'failure' ? this.reset(word.why, true) : this.subscribed();
    const waiting = this.waiting.get(word.id);
    if (waiting === undefined) return;
    this.waiting.delete(word.id);
    if (word.kind === 'failure') waiting.reject(new Error(word.why));
    else waiting.resolve(word.body);
  }
}

/** Not every kind of structured clone keeps Node's class. */
function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
