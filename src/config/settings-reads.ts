/**
 * The rows of the table of settings (settings.ts) about reads: where they are sent, and the result cache.
 */
import { isIPv4, isIPv6 } from 'node:net';
import { policyNames } from '../balancing/policies.ts';
import type { Rows } from './setting.ts';
import { atLeast1ms, minute, orZero, second, setting } from './setting.ts';
import { boolean, duration, integer, list, oneOf, optional, redisUrl, size, string } from './values.ts';
import type { Parsed, ValueType } from './values.ts';

export const routingRows = {
  'routing.load_balance_hosts': setting(
    'loadBalanceHosts',
    oneOf(policyNames),
    'least-load',
    'reload',
    'How reads are spread over the replicas.',
  ),
  'routing.max_replica_lag': setting(
    'maxReplicaLagMs',
    atLeast1ms,
    second,
    'reload',
    'Replicas further behind than this get no reads.',
  ),
  'routing.consistency': setting(
    'consistency',
    oneOf(['eventual', 'session', 'strict']),
    'session',
    'reload',
    'What reads may see, at least: what any healthy replica has, the own writes too, or only the primary; a session may choose with SET weir.consistency.',
  ),
  'routing.read_only_functions': setting(
    'readOnlyFunctions',
    list('function names'),
    [],
    'restart',
    'Functions of your own that you vouch for, volatile ones and those with dynamic SQL or in another language: they write nothing, so calling them is a read.',
  ),
  'routing.primary_reads': setting(
    'primaryReads',
    oneOf(['never', 'when-needed', 'always-included']),
    'when-needed',
    'reload',
    'Whether reads go to the primary: never, when no replica may take them, or always as one of the nodes.',
  ),
  'routing.zone': setting(
    'zone',
    optional(string('the name of a zone')),
    undefined,
    'reload',
    'The availability zone of this Weir: reads prefer replicas of the same zone.',
  ),
  'routing.slow_start': setting(
    'slowStartMs',
    orZero('it gets its full share at once'),
    30 * second,
    'reload',
    'For how long the share of reads of a replica that has come, or come back, rises to what it is by weight.',
  ),
  'routing.failover_wait': setting(
    'failoverWaitMs',
    orZero('they get 57P03 at once'),
    30 * second,
    'reload',
    'For how long after a node went down statements that no other node can take wait for it or for its successor; later ones get 57P03 at once.',
  ),
  'routing.monitor': setting(
    'monitor',
    oneOf(['always', 'when-needed']),
    'always',
    'reload',
    'Whether servers are probed all the time. when-needed: not while a database has a single server, which nobody asks about and which answers.',
  ),
  'routing.auto_discover': setting(
    'autoDiscover',
    discovery(),
    'off',
    'reload',
    'Find replicas in pg_stat_replication of the primary: see docs/discovery.md.',
  ),
  'routing.discover_port': setting(
    'discoverPort',
    optional(integer(1, 65_535)),
    undefined,
    'reload',
    'Port of replicas that were found; null: that of the primary. An application_name such as db2:5433 wins.',
  ),
  'routing.discover_forget': setting(
    'discoverForgetMs',
    atLeast1ms,
    minute,
    'reload',
    'A replica that was found is forgotten when it is down and has not been in pg_stat_replication for so long.',
  ),
  'routing.dns_servers': setting(
    'dnsServers',
    dnsServers(),
    [],
    'reload',
    'Whom replicas with dns are asked for; empty: the DNS servers of the system. See docs/dns.md.',
  ),
} as const satisfies Rows;

export const cacheRows = {
  'cache.enabled': setting(
    'enabled',
    boolean(),
    false,
    'restart',
    'Keep results of safe reads and answer repeated ones from them.',
  ),
  'cache.mode': setting(
    'mode',
    oneOf(['session', 'bounded', 'ttl'], ['strict']),
    'session',
    'restart',
    'What a cached answer promises: never older than the own writes and reads, never older than the ttl, or only the ttl.',
  ),
  'cache.ttl': setting('ttlMs', atLeast1ms, minute, 'restart', 'Longest life of a cached result.'),
  'cache.max_memory': setting(
    'maxMemoryBytes',
    size(64 * 1024),
    128 * 1024 ** 2,
    'restart',
    'Memory for cached results in this process.',
  ),
  'cache.max_entry_size': setting(
    'maxEntrySizeBytes',
    size(1024, 1024 ** 3),
    256 * 1024,
    'restart',
    'Larger results are not cached.',
  ),
  'cache.redis': setting(
    'redis',
    optional(redisUrl()),
    undefined,
    'restart',
    'Redis for a second level shared by all proxies and for invalidation between them.',
  ),
  'cache.lease': setting(
    'leaseMs', // The words of a Weir that is gone must outlive two leases (src/cache/scripts.ts: 10 s).
    duration(100, 4_000),
    second,
    'restart',
    'With Redis: how long cached answers may be shown without another word from it. A write that cannot be announced waits about twice as long.',
  ),
  'cache.member_timeout': setting(
    'memberTimeoutMs',
    duration(1_000, 86_400_000),
    minute,
    'restart',
    'How long the Weirs that share a Redis wait, uncached, for one that has vanished without a word, before they go on without it.',
  ),
  'cache.out_of_band_writes': setting(
    'outOfBandWrites',
    oneOf(['off', 'logical-replication']),
    'off',
    'restart',
    'How writes that go past Weir invalidate the cache. See docs/writes-around.md.',
  ),
  'cache.max_out_of_band_lag': setting(
    'maxOutOfBandLagMs',
    duration(200, 60_000),
    2 * second,
    'restart',
    'With out_of_band_writes: nothing is answered from the cache if writes that go past Weir are known only up to a moment before that.',
  ),
  'cache.publication': setting(
    'publication',
    string('a name'),
    'weir',
    'restart',
    'With out_of_band_writes: the publication that names the tables whose writes are read; made if it is not there.',
  ),
  // Names as schema.table, or table for one in public.
  'cache.tables': setting(
    'tables',
    list('table names'),
    [],
    'restart',
    'Tables whose reads may be cached; empty = every table that is safe.',
  ),
} as const satisfies Rows;

/** At most as many as there may be in a line of resolv.conf, and some more. */
function dnsServers(): ValueType<readonly string[]> {
  const addresses = list('addresses of DNS servers');
  const allowed = 'a list of at most 8 addresses of DNS servers, such as 10.0.0.2, 10.0.0.2:5353 or [fd00::2]:53';
  const isServer = (text: string): boolean => {
    const [, v6, v4, port] = /^(?:\[([^\]]+)\]|([\d.]+))(?::(\d{1,5}))?$/.exec(text) ?? [];
    const isAddress = isIPv6(text) || isIPv6(v6 ?? '') || isIPv4(v4 ?? '');
    return isAddress && (port === undefined || (Number(port) >= 1 && Number(port) <= 65_535));
  };
  const check = (parsed: Parsed<readonly string[]>): Parsed<readonly string[]> =>
    'value' in parsed && parsed.value.length <= 8 && parsed.value.every(isServer)
      ? parsed
      : { refused: `is not ${allowed}` };
  return {
    ...addresses,
    allowed,
    parse: (raw) => check(addresses.parse(raw)),
    // The brackets of an IPv6 address are not those of the list.
    parseText: (text) => check(addresses.parseText(/^\[[\da-f:.]+\](:\d+)?$/i.test(text.trim()) ? `[${text}]` : text)),
  };
}

/** true and false, as in a file that only switches it on or off; replication says the same as true. */
function discovery(): ValueType<'off' | 'replication'> {
  const words = oneOf(['off', 'replication']);
  const allowed = 'false, or true (replication says the same)';
  const parse = (raw: unknown): Parsed<'off' | 'replication'> => {
    const isOn = boolean().parse(raw);
    if ('value' in isOn) return { value: isOn.value ? 'replication' : 'off' };
    const parsed = words.parse(raw);
    return 'refused' in parsed ? { refused: `is not ${allowed}` } : parsed;
  };
  return {
    name: 'enum',
    allowed,
    parse,
    parseText: (text) => parse(text.trim()),
    format: (value) => String(value !== 'off'),
  };
}
