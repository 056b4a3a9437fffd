/**
 * A look at pg_stat_activity: which Weirs are logged in there with their monitors, and which backends may be of a Weir that has
 * fallen silent. The monitor of each Weir shows its number and limit in its application_name. Used by exchange.ts.
 */
import type { Answer, Others, Seen, Shown } from './types.ts';

type Row = Readonly<Record<string, unknown>>;

/**
 * Shows $1 to the others and looks, in one statement. Every role sees pids and application_name; only members of
 * pg_read_all_stats see when the backends of other roles have started.
 */
export const lookSql = `
WITH shown AS MATERIALIZED (SELECT pg_catalog.set_config('application_name', $1, false))
SELECT a.pid, a.application_name,
  pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() - a.backend_start)::float8 * 1000 AS age_ms
FROM shown, pg_catalog.pg_stat_activity AS a
WHERE a.datid IS NOT NULL AND a.usesysid IS NOT NULL AND a.pid <> pg_catalog.pg_backend_pid()`;

const monitorName = /^weir monitor ([0-9a-f]{12}) ([0-9]{1,6}) ([0-9]{1,6})$/;
/** Connections of Weir itself, which are in no pool. */
const besidePools = /^weir (monitor|auth\.query|cli|check)/;
const most = 999_999;
/** For what is on its way. */
const marginMs = 2_000;
/** So long connections that no Weir has told of are taken for those of one that has died; then they are of other programs. */
export const unknownMs = 30_000;

export function shownName({ id, limit, open }: Shown): string {
  return `weir monitor ${id} ${Math.min(limit, most)} ${Math.min(open, most)}`;
}

/** @param own backends of this Weir */
export function othersIn(rows: readonly Row[], ownId: string, own: readonly number[]): Others {
  const pids = new Set(own);
  const isOfPool = ({ pid, application_name: name }: Row): boolean =>
    !pids.has(Number(pid)) && !besidePools.test(String(name));
  return { monitors: monitorsIn(rows, ownId), connections: rows.filter(isOfPool).length };
}

/** The other Weirs that are logged in. A Weir with several monitors counts once. */
function monitorsIn(rows: readonly Row[], ownId: string): Shown[] {
  const byId = new Map<string, Shown>();
  for (const { application_name: name } of rows) {
    const [, id = '', limitText, openText] = monitorName.exec(String(name)) ?? [];
    if (id === '' || id === ownId) continue;
    const before = byId.get(id);
    const limit = Math.max(before?.limit ?? 0, Number(limitText));
    byId.set(id, { id, limit, open: Math.max(before?.open ?? 0, Number(openText)) });
  }
  return [...byId.values()];
}

/**
 * @param asked what Redis had answered before the look
 * @param sinceMs how long ago
 * @param own backends of this Weir
 */
export function seenIn(
  rows: readonly Row[],
  asked: Answer,
  sinceMs: number,
  ownId: string,
  own: readonly number[],
): Seen {
  const monitors = monitorsIn(rows, ownId);
  const shown = new Set(monitors.map(({ id }) => id));
  const claimed = new Set([...asked.claimed, ...own]);
  const absent = asked.late
    .filter(({ id }) => !shown.has(id))
    .map(({ id, seq, pids, silentMs, absentForMs }) => {
      const known = new Set(pids);
      // It has opened connections that it has not told of only while it was silent and its monitor was there.
      const oldestMs = silentMs + sinceMs + marginMs;
      const youngestMs = (absentForMs ?? 0) - marginMs;
      const mayBeIts = ({ pid, application_name: name, age_ms: age }: Row): boolean => {
        const isYoung = typeof age === 'number' && age < youngestMs;
        // Clients may give their connections any name.
        if (known.has(Number(pid))) return !isYoung;
        if (besidePools.test(String(name))) return false;
        const isOld = typeof age === 'number' && age > oldestMs && seq > 0;
        if ((absentForMs ?? 0) > unknownMs) return false;
        return !claimed.has(Number(pid)) && !isYoung && !isOld;
      };
      return { id, seq, left: rows.filter(mayBeIts).length };
    });
  return { askedMs: asked.atMs, monitors, absent };
}
