/**
 * Notices that the name of a server leads to another one by now. After a failover behind a name (an endpoint of a cloud), the monitor may
 * still be connected to the old primary, which is a standby then, and would never see the new one. Used by server-connector.ts.
 */
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { isSocketDir } from '../util/where.ts';
import type { ProbeSample } from './samples.ts';

export type LookUp = (host: string) => Promise<readonly string[]>;

const LOOK_EVERY_MS = 2_000;

export class NameOfPrimary {
  readonly #lookUp: LookUp;
  /** Names of standbys are left alone: one that names another of several each time is no reason to connect again. */
  #wasPrimary = false;
  #lookAtMs = -Infinity;
  /** What the name has led to when last looked up. */
  #addresses: readonly string[] = [];

  constructor(lookUp: LookUp = lookUpAll) {
    this.#lookUp = lookUp;
  }

  /**
   * Looks up the name now and then, without waiting for the answer.
   * @param address to which the connection is; undefined: not known
   * @returns why to connect again; undefined: nothing is known against this connection
   */
  problem(host: string, address: string | undefined, { isInRecovery }: ProbeSample, nowMs: number): string | undefined {
    if (!isInRecovery) {
      this.#wasPrimary = true;
      this.#addresses = [];
      return undefined;
    }
    if (!this.#wasPrimary || address === undefined || isIP(host) !== 0 || isSocketDir(host)) return undefined;
    const found = this.#addresses;
    if (found.length > 0 && !found.includes(address)) {
      this.#addresses = [];
      return `is a standby now, and its name leads to ${found.join(', ')} instead of ${address}`;
    }
    if (nowMs >= this.#lookAtMs) {
      this.#lookAtMs = nowMs + LOOK_EVERY_MS;
      this.#lookUp(host).then(
        (addresses) => (this.#addresses = addresses),
        // What cannot be looked up now is no reason to give up a connection.
        () => undefined,
      );
    }
    return undefined;
  }
}

async function lookUpAll(host: string): Promise<readonly string[]> {
  return (await lookup(host, { all: true })).map(({ address }) => address);
}
