/**
 * 10,000 conversations of clients with servers that change, drop, cut, double, invent and reorder what they say, or die.
 * None may take the process, a place or another server with it: when the servers have come to their senses, the pools
 * are whole and the next proper client is served, and nothing has grown. WEIR_FUZZ_SEQUENCES=1000000 runs more, WEIR_FUZZ_SEED others.
 */
import { readFileSync, readdirSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Backend } from '../../src/protocol/codes.ts';
import { frame, readyForQuery } from '../../src/protocol/write.ts';
import {
  classifier,
  conversationCount,
  crowdSize,
  expectWhole,
  kinds,
  Memory,
  newToken,
  outlastSilentServers,
  runOptions,
  scriptOf,
  serveGoodClient,
} from './crowd.ts';
import type { FakePostgres, Mind } from './fake-postgres.ts';
import { sequence } from './frames.ts';
import { runScript } from './rude-client.ts';
import type { Script } from './rude-client.ts';
import { makeWorld } from './world.ts';
import type { World } from './world.ts';

const corpus = new URL('../corpus/answers/', import.meta.url);
const wanted = conversationCount(10_000);

const hows = ['change', 'drop', 'cut', 'insert', 'length', 'double', 'type', 'silence', 'swap', 'die', 'half'] as const;

/** What happens to message number `at` of all servers together. */
interface Hurt {
  readonly at: number;
  readonly how: (typeof hows)[number];
  readonly place: number;
  readonly byte: number;
}

const backendTypes = Object.values(Backend);
const hurt: fc.Arbitrary<Hurt> = fc.record({
  at: fc.nat(500),
  how: fc.constantFrom(...hows),
  place: fc.nat(80),
  byte: fc.oneof(fc.constantFrom(0, 1, 4, 0x45, 0x49, 0x54, 0x5a, 0x7f, 0x80, 0xff), fc.nat(255)),
});

/** Messages of servers: hurt as long as `isArmed`. */
class Surgeon {
  isArmed = true;
  private readonly hurts: ReadonlyMap<number, Hurt>;
  private readonly heldBack = new WeakMap<FakePostgres, Buffer>();
  private count = 0;

  constructor(hurts: readonly Hurt[]) {
    this.hurts = new Map(hurts.map((one) => [one.at, one]));
  }

  readonly mind: Mind = (message, server) => {
    const before = this.heldBack.get(server);
    this.heldBack.delete(server);
    const one = this.isArmed ? this.hurts.get(this.count++) : undefined;
    const said = one === undefined ? message : this.hurt(one, message, server);
    if (said === undefined) return undefined;
    return before === undefined ? said : Buffer.concat([said, before]);
  };

  private hurt({ how, place, byte }: Hurt, message: Buffer, server: FakePostgres): Buffer | undefined {
    const at = place % message.length;
    const changed = Buffer.from(message);
    switch (how) {
      case 'change':
        changed[at] = byte;
        return changed;
      case 'type':
        changed[0] = backendTypes[byte % backendTypes.length] ?? byte;
        return changed;
      case 'length':
        changed[1 + (place % 4)] = byte;
        return changed;
      case 'drop':
        return Buffer.concat([message.subarray(0, at), message.subarray(at + 1)]);
      case 'insert':
        return Buffer.concat([message.subarray(0, at), Buffer.from([byte]), message.subarray(at)]);
      case 'cut':
        return message.subarray(0, at);
      case 'double':
        return Buffer.concat([message, message]);
      case 'silence':
        return Buffer.alloc(0);
      case 'swap':
        // It is said behind the next one.
        this.heldBack.set(server, message);
        return Buffer.alloc(0);
      case 'die':
        return undefined;
      case 'half':
        server.isDying = true;
        return byte % 2 === 0
          ? message.subarray(0, at)
          : Buffer.concat([message, frame(Backend.NoticeResponse), readyForQuery('I')]);
    }
  }
}

async function runCrowd(world: World, surgeon: Surgeon, scripts: readonly Script[]): Promise<void> {
  const said = (): string =>
    scripts.map(({ chunks }) => chunks.map((chunk) => chunk.toString('hex')).join('\n')).join('\n\n');
  // What a server says of one client's statement may be anything by now; that Weir fails of it is not.
  const complaints = await Promise.all(scripts.map((script) => runScript(world, script, () => false)));
  surgeon.isArmed = false;
  const found = complaints.flat().filter((one) => one.startsWith('an internal error'));
  if (found.length > 0) throw new Error(`${found.join('; ')}\n${world.problems().join('\n')}\n${said()}`);
  await outlastSilentServers(world);
  await expectWhole(world).catch((error: unknown) => {
    throw new Error(`${(error as Error).message}\n${said()}`);
  });
  await serveGoodClient(world);
  await expectWhole(world);
}

describe('what servers say', () => {
  it(`${wanted} conversations`, { timeout: 240_000 + 4 * wanted }, async () => {
    const memory = new Memory();
    const rounds = Math.ceil(wanted / crowdSize);
    let round = 0;
    const input = fc.record({
      sequences: fc.array(sequence, { minLength: crowdSize, maxLength: crowdSize }),
      hurts: fc.array(hurt, { minLength: 1, maxLength: 12 }),
    });
    const property = fc.asyncProperty(input, async ({ sequences, hurts }) => {
      const surgeon = new Surgeon(hurts);
      const world = makeWorld({ classifier, ...kinds[round % kinds.length], mind: surgeon.mind });
      try {
        await runCrowd(world, surgeon, sequences.map(scriptOf));
      } catch (error) {
        throw new Error(JSON.stringify(hurts), { cause: error });
      } finally {
        world.stop();
      }
      if (++round % Math.ceil(rounds / 10) === 0) memory.look();
    });
    await fc.assert(property, runOptions(rounds));
    expect(round).toBe(rounds);
    // What is kept (templates, worlds not collected yet) is some 50 MB, however many there were.
    expect(memory.mostGrown).toBeLessThan(128 * 1024 * 1024);
  });

  it.each(readdirSync(corpus).filter((name) => name.endsWith('.json')))('once found: %s', async (name) => {
    const { says, hurts } = JSON.parse(readFileSync(new URL(name, corpus), 'utf8')) as {
      says: string[];
      hurts: Hurt[];
    };
    const chunks = says.map((hex) => Buffer.from(hex, 'hex'));
    for (const kind of kinds) {
      // Each for itself: the first one may be the end of the server.
      for (const one of hurts) {
        const surgeon = new Surgeon([one]);
        const world = makeWorld({ classifier, ...kind, mind: surgeon.mind });
        try {
          await runCrowd(world, surgeon, [{ chunks, token: newToken(), patience: 30, isDeaf: false }]);
        } finally {
          world.stop();
        }
      }
    }
  });
});
