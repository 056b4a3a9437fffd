/**
 * Bounds the number of label values: with a "*" database or auth.type trust, clients choose the names of databases and
 * users. The first names are shown as they are, all others together as "(other)". One per group of metrics.
 */
export interface LabelLimiter {
  one(database: string): { database: string };
  pair(database: string, user: string): { database: string; user: string };
}

export const other = '(other)';

export function createLabelLimiter(mostDatabases = 200, mostPairs = 1_000): LabelLimiter {
  const databases = new Set<string>();
  const pairs = new Set<string>();
  const admit = (known: Set<string>, key: string, most: number): boolean => {
    if (known.has(key)) return true;
    if (known.size >= most) return false;
    known.add(key);
    return true;
  };
  const one = (database: string): { database: string } => ({
    database: admit(databases, database, mostDatabases) ? database : other,
  });
  return {
    one,
    pair(database, user) {
      const shown = one(database);
      return { ...shown, user: admit(pairs, `${shown.database}\0${user}`, mostPairs) ? user : other };
    },
  };
}
