/**
 * Finds partition and inheritance trees. A table with several parents joins their trees into one, so that every relation
 * has one root, and relations that share rows share it. Called by relations.ts.
 */
import { num, pushTo, str } from './rows.ts';
import type { Row } from './rows.ts';

export interface Trees {
  /** The relation itself if it has no parent. Of joined trees, the root with the smallest OID. */
  rootOf(oid: number): number;
  /** Why reading it is not a read of replicated tables only: a descendant is unlogged or a foreign table. */
  problemBelow(oid: number): string | undefined;
}

export function findTrees(relationRows: readonly Row[], parentRows: readonly Row[]): Trees {
  const above = new Map<number, number[]>();
  const representative = new Map<number, number>();
  const find = (oid: number): number => {
    let at = oid;
    for (let next = representative.get(at); next !== undefined && next !== at; next = representative.get(at)) at = next;
    // Path compression (union-find), for tables with ten thousand partitions.
    if (at !== oid) representative.set(oid, at);
    return at;
  };
  for (const row of parentRows) {
    const child = num(row, 'child');
    const parent = num(row, 'parent');
    pushTo(above, child, parent);
    representative.set(find(child), find(parent));
  }

  const roots = new Map<number, number>();
  const members = new Set(parentRows.flatMap((row) => [num(row, 'child'), num(row, 'parent')]));
  for (const oid of members) {
    if (above.has(oid)) continue;
    const tree = find(oid);
    roots.set(tree, Math.min(roots.get(tree) ?? Infinity, oid));
  }

  const problems = new Map<number, string>();
  for (const row of relationRows) {
    const oid = num(row, 'oid');
    if (!above.has(oid)) continue;
    const what = str(row, 'kind') === 'f' ? 'foreign' : str(row, 'persistence') === 'u' ? 'unlogged' : '';
    if (what === '') continue;
    markAncestors(oid, `has the ${what} child ${str(row, 'schema')}.${str(row, 'name')}`, above, problems);
  }
  return {
    rootOf: (oid) => (members.has(oid) ? (roots.get(find(oid)) ?? oid) : oid),
    problemBelow: (oid) => problems.get(oid),
  };
}

function markAncestors(
  oid: number,
  problem: string,
  above: ReadonlyMap<number, readonly number[]>,
  problems: Map<number, string>,
): void {
  const queue = [...(above.get(oid) ?? [])];
  for (let at = queue.pop(); at !== undefined; at = queue.pop()) {
    if (problems.has(at)) continue;
    problems.set(at, problem);
    queue.push(...(above.get(at) ?? []));
  }
}
