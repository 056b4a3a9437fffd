/**
 * Loads auth.hba_file and auth.ident_file, and checks that the maps which the rules name exist. Called by `weir serve`
 * and `weir check` before anything starts, and by the app at its start and at each reload.
 */
import { whyNoPeer } from '../methods/peer.ts';
import type { IdentFile, IdentMaps } from './ident.ts';
import { readIdentFile } from './ident.ts';
import { readLines } from './lines.ts';
import type { Rule } from './rules.ts';
import { parseRules } from './rules.ts';

export interface Access {
  readonly rules: readonly Rule[];
  readonly maps: IdentMaps;
  /** Lines that refuse everybody whom they concern, each with its place and the reason. */
  readonly warnings: readonly string[];
}

export interface AccessFiles {
  readonly hbaFile: string;
  readonly identFile: string | undefined;
  /** tls.client.ca is set: certificates of clients can be checked. */
  readonly canVerify: boolean;
  /** auth.as: pgbouncer: files that PgBouncer reads are read, and mean the same. Absent: false. */
  readonly isPgbouncer?: boolean;
}

/** Either the rules and maps, or all problems of both files. */
export type LoadedAccess = { readonly access: Access } | { readonly problems: readonly string[] };

export function loadAccess({ hbaFile, identFile, canVerify, isPgbouncer = false }: AccessFiles): LoadedAccess {
  const { lines, problems } = readLines(hbaFile, isPgbouncer);
  const rules = parseRules(lines, problems, isPgbouncer);
  const none: IdentFile = { maps: new Map(), problems: [] };
  const ident = identFile === undefined ? none : readIdentFile(identFile);
  for (const { place, method, map, clientCert } of rules) {
    // peer refuses whatever the map says.
    if (map !== undefined && method !== 'peer' && !ident.maps.has(map)) {
      const where = identFile === undefined ? 'auth.ident_file is not set' : `there is none in ${identFile}`;
      problems.push(`${place}: map=${map}: ${where}`);
    }
    if (!canVerify && !isPgbouncer && needsCertificate({ method, clientCert })) {
      problems.push(`${place}: certificates of clients cannot be checked without tls.client.ca`);
    }
  }
  if (problems.length === 0 && rules.length === 0) problems.push(`${hbaFile}: has no line: nobody could come in`);
  const all = [...problems, ...ident.problems];
  if (all.length > 0) return { problems: all };
  const warnings = rules.flatMap((rule) => {
    const why = whyRefused(rule, canVerify);
    return why === undefined ? [] : [`${rule.place}: ${why}: who comes by this line is refused`];
  });
  return { access: { rules, maps: ident.maps, warnings } };
}

const needsCertificate = ({ method, clientCert }: Pick<Rule, 'method' | 'clientCert'>): boolean =>
  method === 'cert' || clientCert !== undefined;

/** Undefined: somebody can come in by this line, unless it says reject. */
function whyRefused(rule: Rule, canVerify: boolean): string | undefined {
  if (rule.method === 'peer') return `peer: ${whyNoPeer}`;
  if (canVerify || !needsCertificate(rule)) return undefined;
  return 'certificates of clients cannot be checked without tls.client.ca';
}
