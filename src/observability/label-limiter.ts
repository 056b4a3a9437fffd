/**
 * Keeps labels bounded: with a "*" database or trusted log-ins, clients choose names. The first so many are shown by
 * name, all others together as "(other)". One per metric family; grows to its bound and no further.
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
