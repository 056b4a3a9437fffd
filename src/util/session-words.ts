/**
 * A regular expression for the source of a function or DO block that may leave state in its session: settings that are
 * not LOCAL, temporary tables, locks, channels, cursors. One pattern for JavaScript and for PostgreSQL, which write a
 * word boundary differently. Does not see dynamic SQL whose text is assembled from parts.
 */

/** @param edge `\b` in JavaScript, `\y` in PostgreSQL */
export function sessionWords(edge: string): string {
  const word = (text: string): string => `${edge}${text}${edge}`;
  const beginsStatement = `(?:^|;|\\x27|${['begin', 'then', 'else', 'loop'].map(word).join('|')})`;
  return [
    `${word('set_config')}\\s*\\([^;]*,\\s*false\\s*\\)`,
    `${beginsStatement}\\s*(?:set|reset)\\s+(?!(?:local|constraints|transaction)${edge})`,
    `${edge}(?:create|into)\\s+(?:local\\s+|global\\s+)?temp(?!\\w*\\s[^;]*on\\s+commit\\s+drop)`,
    `${edge}pg_(?:try_)?advisory_lock`,
    `${edge}(?:listen|prepare)\\s+\\w`,
    `${edge}with\\s+hold${edge}`,
    `${edge}setseed${edge}`,
    `${edge}load\\s+\\x27`,
  ].join('|');
}
