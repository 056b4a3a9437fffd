/**
 * Derives SCRAM keys from passwords by PBKDF2, on Node's thread pool: at most two at a time, with a bounded queue and a
 * cache, so that a flood of log-ins blocks neither the event loop nor all threads. One deriver each for secrets of
 * clients, for mock secrets, and for log-ins to servers.
 */
import { createHmac, pbkdf2, randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import { saslprep } from './saslprep.ts';
import type { ScramKeys } from './scram.ts';
import { scramKeys } from './scram.ts';

const derive = promisify(pbkdf2);

/** The queue is full: too many log-ins at the same time. */
export class OverloadedError extends Error {
  constructor(waiting: number) {
    super(`${waiting} key derivations are waiting already`);
    this.name = 'OverloadedError';
  }
}

export interface KeyDeriverOptions {
  /** Computations at the same time. Default 2: half of Node's thread pool, which also resolves host names. */
  readonly maxInFlight?: number;
  /** Length of the queue. Default 1024. */
  readonly maxWaiting?: number;
  /** Size of the cache; the least recently used result is evicted first. Default 4096. */
  readonly maxCached?: number;
}

export interface KeyDeriver {
  /** Equal calls share one computation. Rejects with OverloadedError if the queue is full. */
  derive(password: string, salt: Buffer, iterations: number): Promise<ScramKeys>;
}

export function createKeyDeriver(options: KeyDeriverOptions = {}): KeyDeriver {
  const { maxInFlight = 2, maxWaiting = 1024, maxCached = 4096 } = options;
  // The cache key is a keyed hash, so that the cache holds no passwords.
  const mapKey = randomBytes(32);
  const cache = new Map<string, Promise<ScramKeys>>();
  const waiting: (() => void)[] = [];
  let inFlight = 0;

  async function compute(password: string, salt: Buffer, iterations: number): Promise<ScramKeys> {
    if (inFlight >= maxInFlight) {
      if (waiting.length >= maxWaiting) throw new OverloadedError(waiting.length);
      await new Promise<void>((resolve) => waiting.push(resolve));
    } else {
      inFlight++;
    }
    try {
      return scramKeys(await derive(saslprep(password), salt, iterations, 32, 'sha256'));
    } finally {
      // inFlight stays the same if the next computation starts at once.
      const next = waiting.shift();
      if (next === undefined) inFlight--;
      else next();
    }
  }

  return {
    derive(password, salt, iterations) {
      const key = createHmac('sha256', mapKey)
        .update(`${iterations}:${salt.toString('base64')}:`)
        .update(password)
        .digest('base64');
      const known = cache.get(key);
      if (known !== undefined) {
        cache.delete(key);
        cache.set(key, known);
        return known;
      }
      const keys = compute(password, salt, iterations);
      cache.set(key, keys);
      keys.catch(() => cache.delete(key));
      for (const oldest of cache.keys()) {
        if (cache.size <= maxCached) break;
        cache.delete(oldest);
      }
      return keys;
    },
  };
}
