/**
 * Asks DNS for replicas: the addresses of a name, or the targets of its SRV records and their addresses. What one question
 * out of several does not answer stays as it was. Used by app/dns-name.ts.
 */
import { Resolver } from 'node:dns/promises';
import type { DnsReplicas } from '../config/config.ts';
import { isDnsName } from '../util/dns-names.ts';

/** One server. */
export interface DnsAddress {
  readonly host: string;
  readonly port: number;
  /** Its name: the one asked for, or the target of the SRV record. */
  readonly target: string;
  /** Of the SRV record; else 1. */
  readonly weight: number;
}

export interface DnsAnswer {
  readonly addresses: readonly DnsAddress[];
  /** For how long it holds. */
  readonly ttlMs: number;
  /** What was not answered, if not everything was. */
  readonly problem: string | undefined;
}

export interface DnsLookup {
  /** @param before the last answer. Rejects if there is none now. */
  ask(entry: DnsReplicas, before: readonly DnsAddress[]): Promise<DnsAnswer>;
  /** What is being asked comes to nothing. */
  stop(): void;
  readonly isStopped: boolean;
}

type Asked = Pick<Resolver, 'resolve4' | 'resolve6' | 'resolveSrv'>;

/** Node does not say the TTL of SRV records. */
const srvTtlMs = 30_000;
/** A question that was not answered is asked again so soon. */
const unansweredTtlMs = 2_000;
const timeoutMs = 1_500;
const tries = 2;
/** More than there can be nodes are not looked at. */
const mostTargets = 32;
const mostAddresses = 64;
const heaviest = 1_000;

/** @param servers none: those of the system */
export function createDnsLookup(servers: readonly string[]): DnsLookup {
  const resolver = new Resolver({ timeout: timeoutMs, tries });
  if (servers.length > 0) resolver.setServers(servers);
  let isStopped = false;
  return {
    ask: (entry, before) =>
      entry.kind === 'a' ? askAddresses(resolver, entry, before) : askServices(resolver, entry, before),
    stop: () => {
      isStopped = true;
      resolver.cancel();
    },
    get isStopped() {
      return isStopped;
    },
  };
}

interface Found {
  readonly hosts: readonly string[];
  readonly ttlMs: number;
  readonly problem: string | undefined;
}

/** Both families. Never rejects. @param before addresses of this name in the last answer */
async function addressesOf(resolver: Asked, name: string, before: readonly string[]): Promise<Found> {
  const [v4, v6] = await Promise.allSettled([
    resolver.resolve4(name, { ttl: true }),
    resolver.resolve6(name, { ttl: true }),
  ]);
  const isV6 = (host: string): boolean => host.includes(':');
  const families = [
    familyOf(
      v4,
      before.filter((host) => !isV6(host)),
    ),
    familyOf(v6, before.filter(isV6)),
  ];
  return {
    hosts: families.flatMap(({ hosts }) => hosts),
    ttlMs: Math.min(...families.map(({ ttlMs }) => ttlMs)),
    problem: families.find(({ problem }) => problem !== undefined)?.problem,
  };
}

type Records = PromiseSettledResult<readonly { readonly address: string; readonly ttl: number | undefined }[]>;

function familyOf(result: Records, before: readonly string[]): Found {
  if (result.status === 'rejected') {
    if (isNone(result.reason)) return { hosts: [], ttlMs: Infinity, problem: undefined };
    return { hosts: before, ttlMs: unansweredTtlMs, problem: wordsOf(result.reason) };
  }
  const hosts = [...new Set(result.value.map(({ address }) => address))].sort();
  // Node knows the TTL of the first 256 addresses only.
  const ttls = result.value.map(({ ttl }) => ttl).filter((ttl) => ttl !== undefined);
  return { hosts, ttlMs: Math.min(...ttls) * 1000, problem: undefined };
}

async function askAddresses(
  resolver: Asked,
  { host: name, port }: DnsReplicas,
  before: readonly DnsAddress[],
): Promise<DnsAnswer> {
  const found = await addressesOf(
    resolver,
    name,
    before.map(({ host }) => host),
  );
  const addresses = found.hosts.slice(0, mostAddresses).map((host) => ({ host, port, target: name, weight: 1 }));
  return answerOf(addresses, found.ttlMs, found.problem, 'it has no address');
}

async function askServices(
  resolver: Asked,
  { host: name }: DnsReplicas,
  before: readonly DnsAddress[],
): Promise<DnsAnswer> {
  const records = await resolver.resolveSrv(name).catch((error: unknown) => {
    throw new Error(isNone(error) ? 'it has no SRV record' : wordsOf(error), { cause: error });
  });
  // A target that is no name is a mistake, or the root, which says that the service is nowhere.
  const usable = records.filter((record) => isDnsName(record.name) && record.port > 0);
  const best = Math.min(...usable.map(({ priority }) => priority));
  const group = usable
    .filter(({ priority }) => priority === best)
    .sort((a, b) => a.name.localeCompare(b.name) || a.port - b.port)
    .slice(0, mostTargets);
  const scale = Math.min(1, heaviest / Math.max(1, ...group.map(({ weight }) => weight)));
  const found = await Promise.all(
    group.map(async ({ name: target, port, weight }) => {
      const known = before.filter((each) => each.target === target && each.port === port).map(({ host }) => host);
      const { hosts, ...rest } = await addressesOf(resolver, target, known);
      // All weights 0, as is usual: all alike.
      const own = Math.max(1, weight * scale);
      return { ...rest, addresses: hosts.map((host) => ({ host, port, target, weight: own })) };
    }),
  );
  return answerOf(
    found.flatMap(({ addresses }) => addresses).slice(0, mostAddresses),
    Math.min(srvTtlMs, ...found.map(({ ttlMs }) => ttlMs)),
    found.find(({ problem }) => problem !== undefined)?.problem,
    'it has no SRV record of a server with an address',
  );
}

/** @param none what is wrong if there is no address */
function answerOf(
  addresses: readonly DnsAddress[],
  ttlMs: number,
  problem: string | undefined,
  none: string,
): DnsAnswer {
  if (addresses.length === 0) throw new Error(problem ?? none);
  return { addresses, ttlMs, problem };
}

/** The server has answered: there is no such name, or no such record. */
const isNone = (error: unknown): boolean => ['ENOTFOUND', 'ENODATA'].includes(codeOf(error));

const codeOf = (error: unknown): string => String((error as { readonly code?: unknown } | undefined)?.code);

const words: Readonly<Record<string, string>> = {
  ETIMEOUT: 'no DNS server answers in time',
  ECONNREFUSED: 'no DNS server can be reached',
  ESERVFAIL: 'the DNS server failed (SERVFAIL)',
  EREFUSED: 'the DNS server refused to answer (REFUSED)',
};

const wordsOf = (error: unknown): string =>
  words[codeOf(error)] ?? (error instanceof Error ? error.message : String(error));
