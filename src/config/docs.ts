/**
 * The reference pages that are made from tables: docs/settings.md and docs/errors.md. Pure: text in, text out.
 * Called by scripts/docs.mjs, and by a test that compares the result with the files.
 */
import { errorTable } from '../errors/error-table.ts';
import { environmentName, settingKeys, settingOf, settings } from './settings.ts';
import { userKeys } from './user-settings.ts';
import { perDatabaseKeys } from './databases.ts';

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ');
}

function row(cells: readonly string[]): string {
  return `| ${cells.map(cell).join(' | ')} |`;
}

function titleOf(section: string): string {
  return section === '' ? 'General' : `\`${section}\``;
}

const settingsHead = `# Settings

<!-- Made by \`npm run docs\` from src/config/settings.ts: change it there. -->

The configuration is YAML (JSON is YAML too): \`weir serve --config config/weir.yaml\`. A section such as \`cache\` is a
map: \`cache.ttl\` below is the key \`ttl\` in it. What is not given has its default. An unknown key, a wrong type or a
value out of range is an error, all of them are reported at once, and nothing starts.

- **Durations** have a unit: \`500ms\`, \`30s\`, \`10m\`, \`1h\`. **Sizes** have one too: \`256KB\`, \`128MB\`, \`1GB\` (1 KB = 1024 bytes).
- **Environment**: the variable in the last column overrides the file; lists are written \`a,b\`, null as \`null\`, and an
  empty variable counts as not set. Flags of \`weir serve\` override both.
- **Changeable**: *reload* settings are applied by \`weir reload\`, \`RELOAD\` and SIGHUP; the others need a *restart*
  (of several workers: \`weir restart\`), or a *new start* of Weir, and a reload names them.
- File names are relative to the folder of the configuration file.
`;

const databasesSection = `## \`databases\`

A map from the name that clients ask for to the servers that have it. The entry \`"*"\` serves every other name, under
the same name on the server. \`weir\` and \`pgbouncer\` are the admin console and cannot be used. Changeable by reload.

| key | type | what it is |
|---|---|---|
| \`primary\` | node | The server that takes writes. Needed. |
| \`replicas\` | list of nodes | Servers that take reads. |
${perDatabaseKeys.map((key) => `| \`${key}\` | | As above, for this database. |`).join('\n')}
| \`auth_user\`, \`auth_query\`, \`auth_dbname\` | | For clients of this database instead of \`auth.user\`, \`auth.query\` and \`auth.dbname\`. |

A **node** is a URL, \`postgres://user:password@host:5432/database\`, or a map \`{ url, weight, name, zone }\`:

- With \`user:password\`, Weir logs in to the server as this user (and the user may log in to Weir with this password);
  without, as the client's own user. In both, write \`@ : / # %\` as \`%40 %3A %2F %23 %25\`.
- The port is 5432 unless given; IPv6 addresses are written \`[::1]\`. No parameters: TLS is set under \`tls.server\`.
- The database is the one of the primary, or else the name of the entry.
- \`weight\` (1): share of reads relative to the other replicas, unless \`load_balance_hosts\` is round-robin or random.
- \`name\`: how SHOW NODES, DRAIN and metrics call it; the host, or \`host:port\` when two nodes share a host.
- \`zone\`: its availability zone, for \`routing.zone\`.
- \`dns\` (only in \`replicas\`): \`a\` makes a replica of each address of the host, \`srv\` of each target of its SRV records
  ([dns.md](dns.md)).

The environment overrides \`primary\` and the pool settings of a database that is in the file:
\`WEIR_DATABASES_SHOP_PRIMARY\`, \`WEIR_DATABASES_SHOP_POOL_MODE\` (every character that is no letter or digit becomes \`_\`).
`;

const usersSection = `
## \`users\`

A map from a user name to what holds for this user alone: it wins over the database's own settings and the global ones.
Without: as the database says. As in PgBouncer, pools and their servers go by the user as whom Weir logs in to the server: that of
the URL of the node, else the client's own. Changeable by reload; not in the environment.

| key | allowed | what it is |
|---|---|---|
${Object.entries(userKeys)
  .map(([key, { like, about }]) => row([`\`${key}\``, settings[like].type.allowed, about]))
  .join('\n')}
`;

/** docs/settings.md */
export function settingsPage(): string {
  const parts = [settingsHead];
  let section: string | undefined;
  for (const key of settingKeys) {
    const setting = settingOf(key);
    const own = key.includes('.') ? key.slice(0, key.lastIndexOf('.')) : '';
    if (own !== section) {
      section = own;
      const hint = own === '' ? '\nThose marked with * can also be set per database.\n' : '';
      parts.push(
        `\n## ${titleOf(own)}\n${hint}\n| key | default | allowed | changeable | what it does | environment |\n|---|---|---|---|---|---|\n`,
      );
    }
    const cells = [
      `\`${key}\`${setting.isPerDatabase ? ' *' : ''}`,
      `\`${setting.type.format(setting.default)}\``,
      setting.type.allowed + (setting.type.later === undefined ? '' : `; in a later version: ${setting.type.later}`),
      setting.isReloadable ? 'reload' : setting.isFixed ? 'new start' : 'restart',
      setting.about,
      `\`${environmentName(key)}\``,
    ];
    parts.push(`${row(cells)}\n`);
  }
  parts.push(`\n${databasesSection}${usersSection}`);
  return parts.join('');
}

const errorsHead = `# Errors

<!-- Made by \`npm run docs\` from src/errors/error-table.ts: change it there. -->

The errors that Weir itself sends; errors of the servers are passed on as they are. The SQLSTATEs are those of appendix A
of the PostgreSQL manual. After an ERROR the connection stays open; after a FATAL it is closed.

| SQLSTATE | severity | name | message | what to do |
|---|---|---|---|---|
`;

/** docs/errors.md */
export function errorsPage(): string {
  const rows = Object.entries(errorTable)
    .sort(([, a], [, b]) => (a.sqlstate < b.sqlstate ? -1 : a.sqlstate > b.sqlstate ? 1 : 0))
    .map(([name, error]) =>
      row([`\`${error.sqlstate}\``, error.severity, `\`${name}\``, error.message, error.hint ?? '']),
    );
  return `${errorsHead}${rows.join('\n')}\n`;
}
