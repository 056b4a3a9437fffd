/**
 * The ledgers of all servers, in Redis, which several Weirs have together. Redis may refuse, send nonsense or be silent: then it
 * counts as gone. Made by app/shared-budget.ts.
 */
import { RedisCaller } from '../cache/redis-caller.ts';
import type { Reply } from '../cache/resp.ts';
import { decide } from './decide.ts';
import { formatLedger, parseLedger } from './ledger-format.ts';
import { keyPrefix, longestMs, probeScript, readScript, writeScript } from './redis-script.ts';
import type { Answer, Ledger, Said } from './types.ts';

/** A ledger of 200 Weirs with 1000 connections each. */
const maxReplyBytes = 4 * 1024 ** 2;
/** Another Weir may have written in between. */
const mostTries = 10;

interface Read {
  readonly nowMs: number;
  readonly run: string;
  readonly stamp: string;
  readonly text: string;
}

export class RedisLedgers {
  private readonly redis: RedisCaller;
  /** As this Weir has written them last, by the key of the server: Redis may lose them. */
  private readonly remembered = new Map<string, Ledger>();

  /** @param url a value of budget.redis */
  constructor(url: string) {
    this.redis = new RedisCaller({
      url,
      clientName: 'weir-budget',
      maxReplyBytes,
      // Reading alone would say nothing of a Redis that is full or a replica.
      check: () => this.redis.call(probeScript, [`${keyPrefix}probe`], [], (reply) => expectOne(reply)),
      onReady: () => undefined,
      onGone: () => undefined,
    });
    this.redis.start();
  }

  /** Why Redis cannot be used; undefined: it can, or is only just being asked for the first time. */
  get problem(): string | undefined {
    return this.redis.problem;
  }

  /**
   * Says something to the other Weirs. Undefined: something newer of this Weir was heard before.
   * @throws Error if Redis cannot be used, or others write all the time
   */
  async exchange(server: string, said: Said): Promise<Answer | undefined> {
    const key = keyPrefix + server;
    let slow = 0;
    for (let tries = 0; tries < mostTries; tries++) {
      const { nowMs, run, stamp, text } = await this.redis.call(readScript, [key], [], readOf);
      const decision = decide(parseLedger(text), run, said, nowMs, this.remembered.get(server));
      if (decision.kind === 'overtaken') return undefined;
      if (decision.kind === 'full') throw new Error('more than 200 Weirs share the server');
      const value = formatLedger(decision.ledger);
      const sinceMs = performance.now();
      const isWritten = await this.redis.call(writeScript, [key], [stamp, run, String(nowMs), value], isOne);
      if (!isWritten) {
        // Once, it may be this process that was held up.
        if (performance.now() - sinceMs > longestMs && ++slow > 1)
          throw new Error(`it takes longer than ${longestMs} ms to answer`);
        continue;
      }
      this.remembered.set(server, decision.ledger);
      return decision.answer;
    }
    throw new Error('other Weirs write the ledger all the time');
  }

  /** The server is not used any more. */
  forget(server: string): void {
    this.remembered.delete(server);
  }

  stop(): void {
    this.redis.stop();
  }
}

function readOf(reply: Reply): Read {
  if (!Array.isArray(reply) || reply.length !== 4 || !reply.every(Buffer.isBuffer))
    throw new Error('it sends something else than was asked for');
  const [now = '', run = '', stamp = '', text = ''] = reply.map((each) => each.toString('utf8'));
  const nowMs = /^\d{1,15}$/.test(now) ? Number(now) : NaN;
  if (!Number.isFinite(nowMs)) throw new Error('it sends a time that is none');
  if (!/^\w{0,64}$/.test(run)) throw new Error('it sends a name that is none');
  return { nowMs, run, stamp, text };
}

function isOne(reply: Reply): boolean {
  if (reply !== 0 && reply !== 1) throw new Error('it sends something else than was asked for');
  return reply === 1;
}

function expectOne(reply: Reply): void {
  if (!isOne(reply)) throw new Error('it sends something else than was asked for');
}
