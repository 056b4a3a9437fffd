/**
 * What may be a name in DNS. Used by config/dns-replicas.ts and topology/dns-lookup.ts.
 */
import { isIP } from 'node:net';

/** Each label has 1 to 63 characters; _ is in the names of SRV records. */
const dnsName = /^(?=.{1,253}\.?$)[a-z0-9_][a-z0-9_-]{0,62}(?:\.[a-z0-9_][a-z0-9_-]{0,62})*\.?$/i;

export const isDnsName = (text: string): boolean => dnsName.test(text) && isIP(text) === 0;
