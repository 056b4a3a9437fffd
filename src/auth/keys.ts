/**
 * Derives SCRAM keys from passwords: PBKDF2 on the thread pool, a few at a time, a bounded queue behind them, results
 * remembered. So a flood of log-ins, right or wrong, never occupies the event loop nor all of the threads.
 * Made once per purpose: clients' secrets, mock secrets, log-ins to servers.
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
  /** PBKDF2 computations at the same time. Default 2: half of Node's thread pool, which also resolves host names. */
  readonly maxInFlight?: number;
  /** Default 1024. */
  readonly maxWaiting?: number;
  /** Results remembered, the least recently used forgotten first. Default 4096. */
  readonly maxCached?: number;
}

export interface KeyDeriver {
  /** Equal calls share one computation. Rejects with OverloadedError when the queue is full. */
  derive(password: string, salt: Buffer, iterations: number): Promise<ScramKeys>;
}

export function createKeyDeriver(options: KeyDeriverOptions = {}): KeyDeriver {
  const { maxInFlight = 2, maxWaiting = 1024, maxCached = 4096 } = options;
  // Remembered under a keyed hash: the map holds no passwords.
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
      // The place is handed to the next in line, or given up.
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
