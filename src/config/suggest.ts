/**
 * "Did you mean": the nearest of a list of known words by edit distance. Pure.
 * Used by the loader (unknown keys, misspelt values), the documentation of settings and the command line.
 */

/** Levenshtein distance with transpositions of neighbours, case-insensitive. */
export function editDistance(left: string, right: string): number {
  const a = left.toLowerCase();
  const b = right.toLowerCase();
  let beforeLast: number[] = [];
  let last: number[] = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row: number[] = [i];
    for (let j = 1; j <= b.length; j++) {
      const isSame = a[i - 1] === b[j - 1];
      let cost = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + (isSame ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        cost = Math.min(cost, (beforeLast[j - 2] ?? 0) + 1);
      }
      row.push(cost);
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length] ?? 0;
}

/** Texts longer than this are cut before they are compared: a 1 MB key must not cost a 1 MB matrix. */
const longestCompared = 80;

/**
 * The known word nearest to `word`; undefined only when `known` is empty. A dotted word is also compared by its
 * last part, so that `ttl` finds `cache.ttl`.
 */
export function nearest(word: string, known: Iterable<string>): string | undefined {
  const short = word.slice(0, longestCompared);
  let best: string | undefined;
  let bestDistance = Infinity;
  for (const candidate of known) {
    const lastPart = candidate.slice(candidate.lastIndexOf('.') + 1);
    // A match of the last part alone is worth slightly less than one of the whole.
    const distance = Math.min(editDistance(short, candidate), editDistance(short, lastPart) + 0.5);
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** Like `nearest`, but only when it is near enough to be a typing mistake. */
export function didYouMean(word: string, known: Iterable<string>): string | undefined {
  const found = nearest(word, known);
  if (found === undefined) return undefined;
  const allowed = Math.max(1, Math.floor(word.length / 3));
  return editDistance(word.slice(0, longestCompared), found) <= allowed ? found : undefined;
}

/** For the end of a message about an unknown word: ` (did you mean pool_size?)`, or nothing. */
export function meantHint(word: string, known: Iterable<string>): string {
  const meant = didYouMean(word, known);
  return meant === undefined ? '' : ` (did you mean ${meant}?)`;
}
