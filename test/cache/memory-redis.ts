/**
 * A Redis in memory, one step at a time: every command, reply and message waits until the test lets it through, is dropped, or
 * is lost with the connection. What the commands do is SharedMemory, of which integration/shared-memory.test.ts shows that
 * it does what the scripts do.
 */
import { SharedMemory } from '../../src/cache/shared-memory.ts';
import type {
  EntryWrite,
  HelloReply,
  HelloRequest,
  OpenReply,
  ReadReply,
  Transport,
  TransportEvents,
} from '../../src/cache/transport.ts';

interface Command {
  readonly run: () => unknown;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
  result?: unknown;
}

export class MemoryRedis {
  readonly now: () => number;
  readonly ports: MemoryPort[] = [];
  memory: SharedMemory;
  private memories = 0;

  constructor(now: () => number) {
    this.now = now;
    // What a start costs is tested on a real one.
    this.memory = this.makeMemory(true);
  }

  port(instanceId: string): MemoryPort {
    const port = new MemoryPort(this, instanceId);
    this.ports.push(port);
    return port;
  }

  /** FLUSHALL */
  flush(): void {
    this.memory = this.makeMemory(false);
  }

  private makeMemory(isFirst: boolean): SharedMemory {
    const publish = (text: string): void => {
      for (const port of this.ports) if (port.isConnected) port.messages.push(text);
    };
    const name = `m${++this.memories}`;
    return new SharedMemory({ now: this.now, name, maxBytes: 1_000_000, isFirst, publish });
  }
}

export class MemoryPort implements Transport {
  readonly kind = 'redis';
  isConnected = false;
  /** Sent, not carried out yet. */
  readonly commands: Command[] = [];
  /** Carried out, not answered yet. */
  readonly replies: Command[] = [];
  readonly messages: string[] = [];
  /** Until then nothing arrives on the subscription. */
  mutedUntilMs = -Infinity;
  /** The next connection may be made. */
  isWaiting = false;
  private readonly redis: MemoryRedis;
  private readonly instanceId: string;
  private events: TransportEvents | undefined = undefined;

  constructor(redis: MemoryRedis, instanceId: string) {
    this.redis = redis;
    this.instanceId = instanceId;
  }

  start(events: TransportEvents): void {
    this.events = events;
    this.isWaiting = true;
  }

  hello(request: HelloRequest): Promise<HelloReply> {
    return this.send((memory) => memory.hello(this.instanceId, request));
  }

  tagsLike(patterns: readonly string[], most: number): Promise<readonly string[] | undefined> {
    return this.send((memory) => memory.tagsLike(patterns, most));
  }

  remove(entryName: string): Promise<void> {
    return this.send((memory) => memory.remove(entryName));
  }

  read(tags: readonly string[], entryName: string): Promise<ReadReply> {
    return this.send((memory) => memory.read(this.instanceId, tags, entryName));
  }

  close(tags: readonly string[], token: string, note: string): Promise<string> {
    return this.send((memory) => memory.close(this.instanceId, tags, token, note));
  }

  open(tags: readonly string[], token: string, bump: boolean): Promise<OpenReply> {
    return this.send((memory) => memory.open(this.instanceId, tags, token, bump));
  }

  store(write: EntryWrite): Promise<boolean> {
    return this.send((memory) => memory.store(this.instanceId, write));
  }

  reset(why: string): void {
    this.disconnect(why);
  }

  settled(): void {}

  stop(isLeaving: boolean): Promise<void> {
    if (isLeaving) this.redis.memory.leave(this.instanceId);
    this.events = undefined;
    this.isConnected = this.isWaiting = false;
    return Promise.resolve();
  }

  // What the test does with it.

  connect(): void {
    this.isWaiting = false;
    this.isConnected = true;
    this.mutedUntilMs = -Infinity;
    this.events?.onConnected();
  }

  disconnect(why: string): void {
    if (!this.isConnected) return;
    this.isConnected = false;
    this.isWaiting = true;
    this.messages.length = 0;
    for (const lost of [...this.replies.splice(0), ...this.commands.splice(0)]) lost.reject(new Error(why));
    this.events?.onLost(why);
  }

  execute(): void {
    const command = this.commands.shift();
    if (command === undefined) return;
    command.result = command.run();
    this.replies.push(command);
  }

  reply(): void {
    const command = this.replies.shift();
    command?.resolve(command.result);
  }

  get hears(): boolean {
    return this.messages.length > 0 && this.redis.now() >= this.mutedUntilMs;
  }

  deliver(): void {
    const text = this.messages.shift();
    if (text !== undefined) this.events?.onMessage(text);
  }

  /** Loses what is under way to the subscriber, without a trace. */
  drop(): void {
    this.messages.length = 0;
  }

  private send<T>(call: (memory: SharedMemory) => T): Promise<T> {
    if (!this.isConnected) return Promise.reject(new Error('not connected'));
    return new Promise((resolve, reject) => {
      const run = (): T => call(this.redis.memory);
      this.commands.push({ run, resolve: resolve as (value: unknown) => void, reject });
    });
  }
}
