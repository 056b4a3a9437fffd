/**
 * A Redis in memory that does what scripts.ts does, one step at a time: every command, reply and message waits until
 * the test lets it through, is dropped, or is lost with the connection.
 */
import { markerMs, stampText } from '../../src/cache/transport.ts';
import type {
  EntryWrite,
  HelloReply,
  HelloRequest,
  OpenReply,
  ReadReply,
  Transport,
  TransportEvents,
} from '../../src/cache/transport.ts';

const ownerOf = (token: string): string => token.slice(0, Math.max(0, token.indexOf(':')));

interface SharedTag {
  stamp: number;
  readonly markers: Map<string, number>;
}

interface StoredValue {
  readonly payload: Buffer;
  readonly expiresAtMs: number;
}

interface Command {
  readonly run: () => unknown;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
  result?: unknown;
}

export class MemoryRedis {
  readonly now: () => number;
  readonly ports: MemoryPort[] = [];
  readonly entries = new Map<string, StoredValue>();
  incarnation = 'i0';
  stamps = 0;
  messages = 0;
  readonly members = new Map<string, { readonly seen: number; readonly leaseMs: number }>();
  /** Open writes: owner -> token -> note. */
  private readonly writes = new Map<string, Map<string, string>>();
  private generation = 'g0';
  /** Long ago: what a start costs is tested on a real one. */
  private bornMs = -Infinity;
  private readonly tags = new Map<string, SharedTag>();
  private incarnations = 0;

  constructor(now: () => number) {
    this.now = now;
  }

  port(instanceId: string): MemoryPort {
    const port = new MemoryPort(this, instanceId);
    this.ports.push(port);
    return port;
  }

  rotate(from: string): void {
    this.incarnation = `i${++this.incarnations}`;
    for (const tag of this.tags.values()) tag.stamp = ++this.stamps;
    this.say(from, { k: 'reset' });
  }

  /** As the script `hello`. */
  greet(from: string, request: HelloRequest): HelloReply {
    const { rotate, echo, leaseMs, memberTimeoutMs, members } = request;
    const now = this.now();
    const [generation, heard] = echo.split(' ');
    let seen = this.members.get(from)?.seen ?? now - leaseMs - 1;
    if (generation === this.generation) seen = Math.max(seen, Number(heard));
    else {
      for (const id of members) if (!this.members.has(id)) this.members.set(id, { seen: now - leaseMs - 1, leaseMs });
      this.restore(from, request);
    }
    const isOld = generation === this.generation && Number(heard) < seen;
    if (!isOld)
      for (const token of this.writesOf(from).keys())
        if (!request.open.includes(token)) this.writesOf(from).delete(token);
    this.members.set(from, { seen, leaseMs });
    let hasLost = false;
    for (const [id, member] of this.members) {
      if (id === from || now - member.seen <= member.leaseMs + memberTimeoutMs) continue;
      this.members.delete(id);
      hasLost = true;
    }
    if (rotate || hasLost) this.rotate(from);
    const all = [...this.members];
    const missing = all.filter(([, member]) => now - member.seen > member.leaseMs).map(([id]) => id);
    const isLate = (id: string): boolean => {
      const member = this.members.get(id);
      return member !== undefined && now - member.seen <= 2 * member.leaseMs;
    };
    const orphans = [...this.writes]
      .filter(([owner]) => owner !== from && !isLate(owner))
      .flatMap(([, writes]) => [...writes].map(([token, note]) => ({ token, note })));
    return {
      incarnation: this.incarnation,
      messages: this.messages,
      echo: `${this.generation} ${now}`,
      isGranted: missing.length === 0 && now - this.bornMs > leaseMs,
      leaseMs: Math.min(...all.map(([, member]) => member.leaseMs)),
      members: all.map(([id]) => id),
      missing,
      orphans,
      isWhole: true,
    };
  }

  private restore(from: string, { orphans }: HelloRequest): void {
    for (const { token, note } of orphans) {
      const owner = ownerOf(token);
      const member = this.members.get(owner);
      const isHeard = member !== undefined && this.now() - member.seen <= member.leaseMs;
      if (owner !== from && !isHeard) this.writesOf(owner).set(token, note);
    }
  }

  writesOf(owner: string): Map<string, string> {
    let writes = this.writes.get(owner);
    if (writes === undefined) this.writes.set(owner, (writes = new Map()));
    return writes;
  }

  /** FLUSHALL */
  flush(): void {
    this.members.clear();
    this.writes.clear();
    this.tags.clear();
    this.entries.clear();
    this.generation = `g${++this.incarnations}`;
    this.bornMs = this.now();
    this.messages = 0;
    this.incarnation = `i${++this.incarnations}`;
  }

  say(from: string, message: Record<string, unknown>): void {
    const text = JSON.stringify({ ...message, i: this.incarnation, n: ++this.messages, f: from });
    for (const port of this.ports) if (port.isConnected) port.messages.push(text);
  }

  look(name: string, from: string): { tag: SharedTag; isClosed: boolean } {
    let tag = this.tags.get(name);
    if (tag === undefined) {
      tag = { stamp: ++this.stamps, markers: new Map() };
      this.tags.set(name, tag);
    }
    for (const [token, deadline] of tag.markers) {
      if (deadline > this.now() || this.writesOf(ownerOf(token)).has(token)) continue;
      tag.markers.delete(token);
      tag.stamp = ++this.stamps;
      this.say(from, { k: 'open', o: '', t: [name], s: [tag.stamp] });
    }
    return { tag, isClosed: tag.markers.size > 0 };
  }

  bump(tag: SharedTag): number {
    tag.stamp = ++this.stamps;
    return tag.stamp;
  }

  hasMarker(token: string): boolean {
    return [...this.tags.values()].some((tag) => tag.markers.has(token));
  }
}

export class MemoryPort implements Transport {
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
    return this.send(() => this.redis.greet(this.instanceId, request));
  }

  remove(entryName: string): Promise<void> {
    return this.send(() => void this.redis.entries.delete(entryName));
  }

  read(tags: readonly string[], entryName: string): Promise<ReadReply> {
    return this.send(() => {
      const looked = tags.map((tag) => this.redis.look(tag, this.instanceId));
      const stamps = looked.map(({ tag }) => tag.stamp);
      const isClosed = looked.some((one) => one.isClosed);
      const { incarnation } = this.redis;
      const value = this.redis.entries.get(entryName);
      const head = stampText(incarnation, stamps);
      const ttlMs = (value?.expiresAtMs ?? 0) - this.redis.now();
      const isFit = !isClosed && ttlMs > 0 && value?.payload.toString('latin1', 0, head.length) === head;
      return { incarnation, isClosed, stamps, entry: isFit ? value.payload : undefined, ttlMs };
    });
  }

  close(tags: readonly string[], token: string, note: string): Promise<string> {
    return this.send(() => {
      if (note !== '') this.redis.writesOf(this.instanceId).set(token, note);
      const deadline = this.redis.now() + markerMs;
      for (const name of tags) this.redis.look(name, this.instanceId).tag.markers.set(token, deadline);
      this.redis.say(this.instanceId, { k: 'close', o: token, t: tags });
      return this.redis.incarnation;
    });
  }

  open(tags: readonly string[], token: string, bump: boolean): Promise<OpenReply> {
    return this.send(() => {
      this.redis.writesOf(ownerOf(token)).delete(token);
      const stamps = tags.map((name) => {
        const { tag } = this.redis.look(name, this.instanceId);
        tag.markers.delete(token);
        return bump ? this.redis.bump(tag) : tag.stamp;
      });
      this.redis.say(this.instanceId, { k: 'open', o: token, t: tags, ...(bump ? { s: stamps } : {}) });
      return { incarnation: this.redis.incarnation, stamps };
    });
  }

  store(write: EntryWrite): Promise<boolean> {
    return this.send(() => {
      const looked = write.tags.map((tag) => this.redis.look(tag, this.instanceId));
      if (write.incarnation !== this.redis.incarnation) return false;
      if (looked.some(({ tag, isClosed }, i) => isClosed || tag.stamp !== write.stamps[i])) return false;
      const expiresAtMs = this.redis.now() + write.ttlMs;
      this.redis.entries.set(write.entryName, { payload: write.payload, expiresAtMs });
      return true;
    });
  }

  reset(why: string): void {
    this.disconnect(why);
  }

  settled(): void {}

  stop(isLeaving: boolean): Promise<void> {
    if (isLeaving) {
      this.redis.members.delete(this.instanceId);
      this.redis.writesOf(this.instanceId).clear();
    }
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

  private send<T>(run: () => T): Promise<T> {
    if (!this.isConnected) return Promise.reject(new Error('not connected'));
    return new Promise((resolve, reject) => {
      this.commands.push({ run, resolve: resolve as (value: unknown) => void, reject });
    });
  }
}
