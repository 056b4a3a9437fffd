/**
 * Parses search_path, as PostgreSQL prints it, into schema names. "$user" becomes the name of the effective role.
 * pg_temp is left out on purpose: a session with temporary tables is pinned to its server, and its reads are not routed.
 */

/** @returns undefined for a text that PostgreSQL would refuse; no unqualified name can then be resolved */
export function parseSearchPath(text: string, user: string): readonly string[] | undefined {
  const names: string[] = [];
  let i = 0;
  const skipBlanks = (): void => {
    while (i < text.length && /\s/.test(text.charAt(i))) i++;
  };
  skipBlanks();
  if (i === text.length) return names;
  for (;;) {
    let name = '';
    if (text.charAt(i) === '"') {
      const end = endOfQuoted(text, i + 1);
      if (end < 0) return undefined;
      name = text.slice(i + 1, end).replaceAll('""', '"');
      i = end + 1;
    } else {
      const start = i;
      while (i < text.length && !/[\s,]/.test(text.charAt(i))) i++;
      name = text.slice(start, i).toLowerCase();
      if (name === '') return undefined;
    }
    const schema = name === '$user' ? user : name;
    // An empty name is how `SET search_path = ''` is printed: it matches no schema.
    if (schema !== '' && schema !== 'pg_temp' && !names.includes(schema)) names.push(schema);
    skipBlanks();
    if (i === text.length) return names;
    if (text.charAt(i) !== ',') return undefined;
    i++;
    skipBlanks();
  }
}

function endOfQuoted(text: string, from: number): number {
  for (let i = from; i < text.length; i++) {
    if (text.charAt(i) !== '"') continue;
    if (text.charAt(i + 1) !== '"') return i;
    i++;
  }
  return -1;
}
