/**
 * The memory that workers share does what the scripts in Redis do: thousands of random commands to both, with one clock, get the
 * same answers and publish the same messages. Fails when one of them is changed without the other.
 */
import { Redis as Client } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { RedisTransport } from '../src/cache/redis.ts';
import type * as Scripts from '../src/cache/scripts.ts';
import { SharedMemory } from '../src/cache/shared-memory.ts';
import { stampText, type HelloReply, type HelloRequest, type Orphan, type ReadReply } from '../src/cache/transport.ts';
import { random } from '../test/cache/simulation-types.ts';
import type { Redis } from './harness/index.ts';
import { hasRedis, startRedis, until } from './harness/index.ts';

const clockKey = vi.hoisted(() => 'clock-of-the-test');

// The scripts with a clock that the test moves.
vi.mock('../src/cache/scripts.ts', async (importOriginal) => {
  const { scripts } = await importOriginal<typeof Scripts>();
  const real = /^local clock = .*\nlocal NOW = .*$/m;
  const moved = `local NOW = tonumber(redis.call('GET', '${clockKey}'))`;
  const changed = Object.entries(scripts).map(([name, text]) => {
    if (!real.test(text)) throw new Error('the clock of the scripts is not where it was');
    return [name, text.replace(real, moved)];
  });
  return { scripts: Object.fromEntries(changed) as typeof scripts };
});

const leaseMs = 1_000;
const memberTimeoutMs = 4_000;
const ids = ['aaa', 'bbb', 'ccc'] as const;
const tags = ['t1', 't2', 't3'] as const;
const entryNames = ['e1', 'e2'] as const;

/** Replaces the names that each side makes up by their order of appearance. */
class Names {
  private readonly seen = new Map<string, number>();
  private readonly generations = new Map<string, number>();

  of(incarnation: string): string {
    return numbered(this.seen, incarnation);
  }

  ofEcho(echo: string): string {
    const [generation, time] = echo.split(' ');
    return `${numbered(this.generations, generation!)} ${time!}`;
  }
}

function numbered(seen: Map<string, number>, name: string): string {
  if (!seen.has(name)) seen.set(name, seen.size);
  return `#${seen.get(name)!}`;
}

/** One of the two stores, as three members see it. */
interface Side {
  hello(from: number, request: HelloRequest): Promise<HelloReply>;
  read(from: number, tags: readonly string[], entry: string): Promise<ReadReply>;
  close(from: number, tags: readonly string[], token: string, note: string): Promise<string>;
  open(
    from: number,
    tags: readonly string[],
    token: string,
    bump: boolean,
  ): Promise<{ incarnation: string; stamps: readonly number[] }>;
  store(from: number, write: Parameters<RedisTransport['store']>[0]): Promise<boolean>;
  remove(from: number, entry: string): Promise<void>;
  leave(from: number): Promise<void>;
  /** All messages so far, once there are that many. */
  messages(count: number): Promise<readonly string[]>;
}

function memorySide(now: () => number): Side {
  const said: string[] = [];
  const publish = (text: string): void => void said.push(text);
  const memory = new SharedMemory({ now, name: 'memory', maxBytes: 1_000_000, isFirst: false, publish });
  return {
    hello: (from, request) => Promise.resolve(memory.hello(ids[from]!, request)),
    read: (from, names, entry) => Promise.resolve(memory.read(ids[from]!, names, entry)),
    close: (from, names, token, note) => Promise.resolve(memory.close(ids[from]!, names, token, note)),
    open: (from, names, token, bump) => Promise.resolve(memory.open(ids[from]!, names, token, bump)),
    store: (from, write) => Promise.resolve(memory.store(ids[from]!, write)),
    remove: (_from, entry) => Promise.resolve(memory.remove(entry)),
    leave: (from) => Promise.resolve(memory.leave(ids[from]!)),
    messages: () => Promise.resolve(said),
  };
}

describe.skipIf(!hasRedis())('shared memory', () => {
  let redis: Redis;
  let client: Client;

  beforeAll(async () => {
    redis = await startRedis();
    client = new Client(redis.url);
  });

  afterAll(async () => {
    client.disconnect();
    await redis.stop();
  });

  async function redisSide(): Promise<Side & { stop(): Promise<unknown> }> {
    const said: string[] = [];
    const transports = ids.map((instanceId) => {
      return new RedisTransport({ url: redis.url, instanceId, maxEntryBytes: 10_000, log: () => undefined });
    });
    let connected = 0;
    transports.forEach((transport, i) => {
      transport.start({
        onConnected: () => connected++,
        onLost: () => undefined,
        onMessage: (text) => i === 0 && said.push(text),
      });
    });
    await until('three connections', () => connected === ids.length);
    const messages = async (count: number): Promise<readonly string[]> => {
      await until('the messages', () => said.length >= count);
      return said;
    };
    // The transport leaves only at its end.
    const leave = async (from: number): Promise<void> => {
      const run = transports[from] as unknown as {
        run(name: string, keys: string[], rest: string[]): Promise<unknown>;
      };
      await run.run('leave', ['{weir1}:members'], []);
    };
    return {
      hello: (from, request) => transports[from]!.hello(request),
      read: (from, names, entry) => transports[from]!.read(names, entry),
      close: (from, names, token, note) => transports[from]!.close(names, token, note),
      open: (from, names, token, bump) => transports[from]!.open(names, token, bump),
      store: (from, write) => transports[from]!.store(write),
      remove: (from, entry) => transports[from]!.remove(entry),
      leave,
      messages,
      stop: () => Promise.all(transports.map((transport) => transport.stop(false))),
    };
  }

  /** What a member remembers, on each side: the names differ. */
  interface Memory {
    echoes: string[];
    members: readonly string[];
    orphans: readonly Orphan[];
    read: { incarnation: string; stamps: readonly number[]; names: readonly string[] } | undefined;
  }

  class History {
    private readonly chance: () => number;
    private readonly sides: readonly { side: Side; names: Names; members: Memory[]; firstNumber: number }[];
    private readonly open = ids.map(() => [] as string[]);
    /** What was stored last. */
    private kept: { readonly names: readonly string[]; readonly entry: string } | undefined;
    private tokens = 0;
    private nowMs = 1_000_000;
    private readonly counts: Record<string, number>;

    constructor(seed: number, redisSide: Side, counts: Record<string, number>) {
      this.counts = counts;
      this.chance = random(seed);
      const fresh = (): Memory => ({ echoes: [''], members: [], orphans: [], read: undefined });
      this.sides = [redisSide, memorySide(() => this.nowMs)].map((side) => {
        return { side, names: new Names(), members: ids.map(fresh), firstNumber: 0 };
      });
    }

    async begin(): Promise<void> {
      await this.setClock();
      for (const one of this.sides) {
        const reply = await one.side.hello(0, this.request(one.members[0]!, { isFirst: true }));
        one.firstNumber = reply.messages;
        one.names.of(reply.incarnation);
        one.names.ofEcho(reply.echo);
      }
    }

    private async setClock(): Promise<void> {
      await client.set(clockKey, this.nowMs);
    }

    private pick<T>(list: readonly T[]): T {
      return list[Math.floor(this.chance() * list.length)]!;
    }

    private some(): readonly string[] {
      const chosen = tags.filter(() => this.chance() < 0.5);
      return chosen.length === 0 ? [tags[0]] : chosen;
    }

    private request(
      memory: Memory,
      { isFirst = false } = {},
      rotate = false,
      open: readonly string[] = [],
    ): HelloRequest {
      const { members, orphans, echoes } = memory;
      const echo = isFirst ? '' : echoes.at(-1)!;
      return { rotate, echo, leaseMs, memberTimeoutMs, members, orphans, open };
    }

    /** Carries out one command on both sides. @returns what each said, comparable, and what was done */
    async step(): Promise<{ what: string; said: unknown[] }> {
      if (this.chance() < 0.25) {
        this.nowMs += this.pick([1, 5, 5, 50, 100, 200, 300, 400, 700, 1_100, 2_500, 6_000]);
        await this.setClock();
      }
      const from = Math.floor(this.chance() * ids.length);
      const run = this.command(from);
      const said: unknown[] = [];
      for (const one of this.sides) said.push(await run.on(one, one.members[from]!));
      this.counts[run.what] = (this.counts[run.what] ?? 0) + 1;
      return { what: `${run.what} of ${ids[from]!}`, said };
    }

    private command(from: number): {
      what: string;
      on(one: { side: Side; names: Names; firstNumber: number }, memory: Memory): Promise<unknown>;
    } {
      const roll = this.chance();
      if (roll < 0.35) return this.hello(from);
      if (roll < 0.45) return this.close(from);
      if (roll < 0.68) return this.end(from);
      if (roll < 0.82) return this.read(from);
      if (roll < 0.95) return this.store(from);
      const entry = this.pick(entryNames);
      if (roll < 0.97) return { what: 'remove', on: async ({ side }) => void (await side.remove(from, entry)) };
      this.open[from] = [];
      const leave = async ({ side }: { side: Side }, memory: Memory): Promise<void> => {
        memory.echoes = [''];
        await side.leave(from);
      };
      return { what: 'leave', on: leave };
    }

    private hello(from: number): ReturnType<History['command']> {
      const rotate = this.chance() < 0.05;
      const kind = this.chance();
      // Some of its writes are forgotten now and then.
      const open = this.open[from]!.filter(() => this.chance() < 0.95);
      const invented: Orphan[] = this.chance() < 0.1 ? [{ token: `zzz:${++this.tokens}`, note: 'of the dead' }] : [];
      const stranger = this.chance() < 0.03 ? ['yyy'] : [];
      return {
        what: 'hello',
        on: async ({ side, names, firstNumber }, memory) => {
          const { echoes } = memory;
          const echo =
            kind < 0.8
              ? echoes.at(-1)!
              : kind < 0.88
                ? (echoes.at(-3) ?? '')
                : kind < 0.94
                  ? ''
                  : `other ${this.nowMs - 10}`;
          const plain = this.request(memory, {}, rotate, open);
          const orphans = [...plain.orphans, ...invented];
          const reply = await side.hello(from, { ...plain, echo, orphans, members: [...plain.members, ...stranger] });
          memory.echoes.push(reply.echo);
          memory.members = reply.members;
          memory.orphans = reply.orphans;
          if (reply.isGranted) this.counts['granted'] = (this.counts['granted'] ?? 0) + 1;
          if (reply.orphans.length > 0) this.counts['orphans'] = (this.counts['orphans'] ?? 0) + 1;
          return {
            ...reply,
            incarnation: names.of(reply.incarnation),
            messages: reply.messages - firstNumber,
            echo: names.ofEcho(reply.echo),
            members: [...reply.members].sort(),
            missing: [...reply.missing].sort(),
            orphans: reply.orphans.map(({ token, note }) => `${token} ${note}`).sort(),
          };
        },
      };
    }

    private close(from: number): ReturnType<History['command']> {
      const isRenewed = this.open[from]!.length > 0 && this.chance() < 0.3;
      const token = isRenewed ? this.pick(this.open[from]!) : `${ids[from]!}:${++this.tokens}`;
      if (!isRenewed) this.open[from]!.push(token);
      const [names, note] = [this.some(), this.chance() < 0.7 ? `note of ${token}` : ''];
      return { what: 'close', on: async ({ side, names: n }) => n.of(await side.close(from, names, token, note)) };
    }

    private end(from: number): ReturnType<History['command']> {
      // Mostly its own write; sometimes what it has inherited, or no write at all.
      const owner = this.chance() < 0.8 ? from : Math.floor(this.chance() * ids.length);
      const token = this.open[owner]!.length === 0 ? '' : this.pick(this.open[owner]!);
      this.open[owner] = this.open[owner]!.filter((one) => one !== token || this.chance() < 0.1);
      const [names, bump] = [this.some(), this.chance() < 0.6];
      return {
        what: 'open',
        on: async ({ side, names: n }) => {
          const reply = await side.open(from, names, token, bump);
          return { ...reply, incarnation: n.of(reply.incarnation) };
        },
      };
    }

    private read(from: number): ReturnType<History['command']> {
      const wanted = this.chance() < 0.7 ? this.kept : undefined;
      const { names, entry } = wanted ?? { names: this.some(), entry: this.pick(entryNames) };
      return {
        what: 'read',
        on: async ({ side, names: n }, memory) => {
          const { incarnation, stamps, isClosed, entry: found } = await side.read(from, names, entry);
          memory.read = { incarnation, stamps, names };
          const text = found === undefined || found === 'foreign' ? found : String(found).split('|').at(-1);
          if (text !== undefined) this.counts['found'] = (this.counts['found'] ?? 0) + 1;
          return { incarnation: n.of(incarnation), stamps, isClosed, text };
        },
      };
    }

    private store(from: number): ReturnType<History['command']> {
      const [entry, text] = [this.pick(entryNames), `entry ${++this.tokens}`];
      const [isPresent, chosen] = [this.chance() < 0.8, this.some()];
      return {
        what: 'store',
        on: async ({ side }, memory) => {
          // Mostly under the present stamps.
          const present = isPresent ? await side.read(from, chosen, entry) : undefined;
          const read = present === undefined ? memory.read : { ...present, names: chosen };
          if (read === undefined) return undefined;
          const { incarnation, stamps, names } = read;
          const payload = Buffer.from(stampText(incarnation, stamps) + text);
          const write = { tags: names, entryName: entry, incarnation, stamps, payload, ttlMs: 3_600_000 };
          const isStored = await side.store(from, write);
          if (isStored) {
            this.counts['stored'] = (this.counts['stored'] ?? 0) + 1;
            this.kept = { names, entry };
          }
          return isStored;
        },
      };
    }

    /** The messages of both sides, comparable. */
    async messages(): Promise<unknown[][]> {
      const memory = this.sides[1]!;
      const count = (await memory.side.messages(0)).length;
      const all: unknown[][] = [];
      for (const { side, names, firstNumber } of this.sides) {
        const said = await side.messages(count + firstNumber);
        const parsed = said.map((text) => JSON.parse(text) as { i: string; n: number });
        all.push(
          parsed
            .filter(({ n }) => n > firstNumber)
            .map((message) => ({ ...message, i: names.of(message.i), n: message.n - firstNumber })),
        );
      }
      return all;
    }
  }

  const counts: Record<string, number> = {};

  test.each(Array.from({ length: 30 }, (_, i) => i + 1))('is what Redis is (seed %i)', async (seed) => {
    await client.flushall();
    await client.set(clockKey, 1_000_000);
    const side = await redisSide();
    const history = new History(seed, side, counts);
    await history.begin();
    const done: string[] = [];
    for (let i = 0; i < 400; i++) {
      const { what, said } = await history.step();
      done.push(`${what}: ${JSON.stringify(said[0])}`);
      expect(said[1], done.slice(-12).join('\n')).toEqual(said[0]);
    }
    const [published, own] = await history.messages();
    expect(own).toEqual(published);
    await side.stop();
  });

  test('was asked for everything', () => {
    for (const what of ['hello', 'close', 'open', 'read', 'found', 'stored', 'orphans', 'granted', 'leave'])
      expect(counts[what], what).toBeGreaterThan(30);
  });
});
