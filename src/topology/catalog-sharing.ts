/**
 * Reads a catalog through another process of the same Weir: that process records the queries and their rows
 * (catalog-readings.ts); this one makes the catalog of them as if it had asked the server itself. Used by topology.ts.
 */
import type { NodeConfig } from '../config/config.ts';
import type { CatalogReader } from './catalog-link.ts';
import { ProbeError } from './probe.ts';
import type { ProbeQuery, ProbeRow } from './samples.ts';
import type { SchemaWatchOptions } from './schema-watch.ts';

export type CatalogQuestion = 'fingerprint' | 'catalog';

export interface SharedCatalogs {
  /** Asks the process that monitors for all. Rejects with ProbeError, or when `signal` is aborted. */
  askCatalog(
    database: string,
    node: NodeConfig,
    question: CatalogQuestion,
    signal: AbortSignal,
  ): Promise<readonly ProbeRow[]>;
  /** This process does not need the catalog of the database any more, for now. */
  releaseCatalog(database: string): void;
}

type Reading = Pick<SchemaWatchOptions, 'connect' | 'fingerprint' | 'readCatalog'>;

/** @param own how this process would read the catalog itself */
export function sharedReading(shared: SharedCatalogs, database: string, own: Omit<Reading, 'connect'>): Reading {
  const { fingerprint, readCatalog } = own;
  return {
    connect: (node, _onLost, signal) =>
      Promise.resolve({
        query: async (question) => [...(await shared.askCatalog(database, node, question as CatalogQuestion, signal))],
        close: () => Promise.resolve(shared.releaseCatalog(database)),
      }),
    fingerprint:
      fingerprint === undefined ? undefined : async (ask) => String((await ask('fingerprint'))[0]?.['fingerprint']),
    readCatalog: async (ask, previous) => readCatalog(replay(await ask('catalog')), previous),
  };
}

/** @returns one row for each query: its text, and its rows or why it failed */
export async function record(query: ProbeQuery, readCatalog: CatalogReader): Promise<ProbeRow[]> {
  const recorded: ProbeRow[] = [];
  await readCatalog(async (sql) => {
    try {
      const rows = await query(sql);
      recorded.push({ sql, rows });
      return rows;
    } catch (error) {
      recorded.push({ sql, problem: error instanceof Error ? error.message : String(error) });
      throw error;
    }
  });
  return recorded;
}

/**
 * The same code asks the same queries, in the same order, if it gets the same rows; but not those of which this process knows
 * the answer from its previous catalog.
 */
function replay(recorded: readonly ProbeRow[]): ProbeQuery {
  let next = 0;
  return (text) => {
    while (next < recorded.length && recorded[next]?.['sql'] !== text) next++;
    const found = recorded[next++];
    if (found === undefined)
      return Promise.reject(new ProbeError('the catalog was read by another version of Weir', false));
    const { rows, problem } = found;
    if (problem !== undefined) return Promise.reject(new Error(String(problem)));
    return Promise.resolve(rows as ProbeRow[]);
  };
}
