/**
 * The last answer of DNS for one entry of `replicas`, and when to ask again. An answer that does not come, or has no address,
 * changes nothing. Used by dns-replicas.ts.
 */
import type { DnsReplicas, NodeConfig } from '../config/config.ts';
import type { Log } from '../observability/types.ts';
import type { DnsAddress, DnsLookup } from '../topology/dns-lookup.ts';
import { serverKey } from '../util/server-key.ts';

const shortestTtlMs = 1_000;
const longestTtlMs = 60_000;
const firstRetryMs = 1_000;
const longestRetryMs = 10_000;

export interface DnsNameParts {
  readonly database: string;
  readonly log: Log;
  nowMs(): number;
}

export class DnsName {
  /** Its weight, zone and log-in may change; not what is asked for. */
  entry: DnsReplicas;
  private readonly parts: DnsNameParts;
  private addresses: readonly DnsAddress[] = [];
  /** In words; undefined: DNS answers. */
  private trouble: string | undefined;
  private retryMs = firstRetryMs;
  private dueAtMs = -Infinity;
  private isAsking = false;

  constructor(entry: DnsReplicas, parts: DnsNameParts) {
    this.entry = entry;
    this.parts = parts;
  }

  get problem(): string | undefined {
    return this.trouble === undefined ? undefined : `${this.entry.host} in DNS: ${this.trouble}`;
  }

  /** As they are in the last answer. */
  get nodes(): readonly NodeConfig[] {
    return this.addresses.map((address) => nodeAt(this.entry, address));
  }

  /** Other DNS servers are asked. */
  askNow(): void {
    this.dueAtMs = -Infinity;
  }

  isDue(nowMs: number): boolean {
    return !this.isAsking && nowMs >= this.dueAtMs;
  }

  /** Never rejects. @returns true: there was an answer */
  async ask(lookup: DnsLookup): Promise<boolean> {
    this.isAsking = true;
    try {
      const { addresses, ttlMs, problem } = await lookup.ask(this.entry, this.addresses);
      if (lookup.isStopped) return false;
      this.addresses = addresses;
      this.dueAtMs = this.parts.nowMs() + Math.min(longestTtlMs, Math.max(shortestTtlMs, ttlMs));
      this.retryMs = firstRetryMs;
      this.tell(problem);
      return true;
    } catch (error) {
      if (lookup.isStopped) return false;
      this.dueAtMs = this.parts.nowMs() + this.retryMs;
      this.retryMs = Math.min(longestRetryMs, this.retryMs * 2);
      this.tell(error instanceof Error ? error.message : String(error));
      return false;
    } finally {
      this.isAsking = false;
    }
  }

  /** Says once that it fails, whatever the reasons are from then on, and once that it works again. */
  private tell(trouble: string | undefined): void {
    const before = this.trouble;
    const { host, kind } = this.entry;
    const kept = this.addresses.length === 0 ? 'there are no replicas of it yet' : 'its last answer is kept';
    this.trouble = trouble === undefined ? undefined : `${trouble}; ${kept}`;
    if ((before === undefined) === (trouble === undefined)) return;
    const about = { database: this.parts.database, dns: kind, host };
    if (trouble === undefined) this.parts.log('info', 'dns', `${host} in DNS: it is answered again`, about);
    else this.parts.log('warn', 'dns', this.problem ?? '', { ...about, problem: trouble });
  }
}

/** A node as the entry says, at one address. Its name is the same for all Weirs, whatever the other addresses are. */
function nodeAt(entry: DnsReplicas, { host, port, target, weight }: DnsAddress): NodeConfig {
  const { kind, name, zone, database, user, password } = entry;
  const own = kind === 'a' ? `${name ?? entry.host}-${host}` : serverKey({ host: target, port });
  return {
    name: kind === 'srv' && name !== undefined ? `${name}-${own}` : own,
    ...{ host, port, database, user, password },
    weight: entry.weight ?? weight,
    ...(zone === undefined ? {} : { zone }),
    source: 'dns',
    tlsName: target,
  };
}
