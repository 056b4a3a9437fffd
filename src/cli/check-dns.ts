/**
 * The part of `weir check` about replicas that are found in DNS: what DNS answers now. Called by check.ts.
 */
import type { Config } from '../config/config.ts';
import { formatHostPort } from '../config/values.ts';
import { createDnsLookup } from '../topology/dns-lookup.ts';

export interface DnsFound {
  readonly rows: [];
  readonly problems: string[];
  readonly notes: { readonly text: string }[];
}

export async function checkDns(config: Config): Promise<DnsFound> {
  const lookup = createDnsLookup(config.routing.dnsServers);
  const asked = [...config.databases.values()].flatMap(({ name, dns = [] }) =>
    dns.map(async (entry) => {
      const what = `${name}: ${entry.host} in DNS`;
      try {
        const { addresses, problem } = await lookup.ask(entry, []);
        const list = addresses.map(formatHostPort);
        const found = `${what}: ${list.join(', ')}`;
        return { note: found, problem: problem === undefined ? undefined : `${what}: ${problem}` };
      } catch (error) {
        return { note: undefined, problem: `${what}: ${error instanceof Error ? error.message : String(error)}` };
      }
    }),
  );
  const answers = await Promise.all(asked);
  return {
    rows: [],
    problems: answers.flatMap(({ problem }) => problem ?? []),
    notes: answers.flatMap(({ note }) => (note === undefined ? [] : { text: note })),
  };
}
