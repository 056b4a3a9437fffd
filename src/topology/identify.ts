/**
 * Asks a server who it is, once for each connection of the monitor, and finds out which probe it can answer. Used by probe.ts.
 */
import { IDENTITY_SQL, probeSql, ROLE_SQL, SYSTEM_ID_SQL, WITHOUT_WAL, withoutWal } from './probe-sql.ts';
import type { NodeIdentity, ProbeRow } from './samples.ts';

/** The SQLSTATE, or the system error code (ECONNREFUSED); empty: neither. */
export const codeOf = (error: unknown): string =>
  typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';

export interface Found {
  readonly identity: NodeIdentity;
  readonly probeText: string;
  readonly walBlockSize: number;
  readonly walSegmentSize: number;
}

/** @returns undefined: the server answers nothing */
export async function identify(query: (text: string) => Promise<readonly ProbeRow[]>): Promise<Found | undefined> {
  const [row] = await query(IDENTITY_SQL);
  if (row === undefined) return undefined;
  const mayIdentify = row['may_identify'] === true;
  const mayStats = row['may_stats'] === true;
  const mayControl = row['may_control'] === true;
  const control = mayIdentify ? await ifOffered(() => query(SYSTEM_ID_SQL)) : undefined;
  const probeText = probeSql(mayStats, mayControl);
  const whyNoWal = await ifOffered(() => query(probeText)).then(
    ({ why }) => why,
    // The probes will fail, too, and say why: what they say counts, and nothing is known of the server before.
    () => undefined,
  );
  const systemId = control?.rows?.[0]?.['system_id'];
  return {
    identity: {
      systemId: typeof systemId === 'string' ? systemId : undefined,
      serverVersion: String(row['server_version']),
      serverId: typeof row['server_id'] === 'string' ? row['server_id'] : undefined,
      connectionLimit: Math.max(0, Number(row['connection_limit'])),
      seesWalReceiver: mayStats,
      ...(whyNoWal !== undefined && { hasNoWal: true }),
      limitation:
        mayStats || mayControl || whyNoWal !== undefined
          ? whyNoWal
          : "the monitor's user may see neither pg_stat_wal_receiver nor pg_control_checkpoint(): grant it pg_monitor",
    },
    probeText: whyNoWal === undefined ? probeText : ROLE_SQL,
    walBlockSize: Number(row['wal_block_size']),
    walSegmentSize: Number(row['wal_segment_size']),
  };
}

/** @returns `why`, for the operator: the server says that it does not offer a function of the query */
async function ifOffered(
  ask: () => Promise<readonly ProbeRow[]>,
): Promise<{ readonly rows?: readonly ProbeRow[]; readonly why?: string }> {
  try {
    return { rows: await ask() };
  } catch (error) {
    if (!WITHOUT_WAL.has(codeOf(error))) throw error;
    return { why: withoutWal(error) };
  }
}
