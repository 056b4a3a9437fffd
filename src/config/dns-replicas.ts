/**
 * Parses an entry of `replicas` that is found in DNS: `{ url, dns, weight, name, zone }`. Pure. Its messages never contain a
 * password. Called by databases.ts.
 */
import type { DnsReplicas, NodeConfig } from './config.ts';
import { isDnsName } from '../util/dns-names.ts';
import { parseNode } from './node-url.ts';

export type ParsedDnsReplicas = { readonly entry: DnsReplicas } | { readonly refused: string };

/** Whether an entry is for this file. */
export const isFoundInDns = (raw: unknown): raw is object & { readonly dns: unknown } =>
  typeof raw === 'object' && raw !== null && 'dns' in raw && raw.dns !== null && raw.dns !== undefined;

/** @param primary of the same database */
export function parseDnsReplicas(raw: object & { readonly dns: unknown }, primary: NodeConfig): ParsedDnsReplicas {
  const { dns: kind, ...rest } = raw;
  if (kind !== 'a' && kind !== 'srv')
    return { refused: 'has a dns that is neither a (addresses: A and AAAA) nor srv (SRV records)' };
  const parsed = parseNode(rest);
  if ('refused' in parsed) return parsed;
  const { node } = parsed;
  if (!isDnsName(node.host)) return { refused: 'has dns, but its URL names no host of DNS' };
  const { url, weight } = rest as { readonly url: string; readonly weight?: number | null };
  if (kind === 'srv' && new URL(url.trim()).port !== '')
    return { refused: 'has a port in its URL: with dns: srv, the SRV records name the ports' };
  if (node.database !== undefined && primary.database !== undefined && node.database !== primary.database)
    return { refused: 'has another database than its primary; a replica has the same ones' };
  const host = node.host.toLowerCase().replace(/\.$/, '');
  const database = node.database ?? primary.database;
  return { entry: { ...node, host, database, kind, weight: weight ?? undefined } };
}

/** What tells the entries of a database from each other. */
export const dnsKeyOf = ({ kind, host, port, name }: DnsReplicas): string =>
  `${kind} ${host}:${port} ${name ?? ''}`.trimEnd();
