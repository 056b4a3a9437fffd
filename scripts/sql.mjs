// node scripts/sql.mjs "SQL" ["SQL" ...]: runs statements one by one in one session on $DATABASE_URL and shows what came
// back, for machines without psql. Stops at the first error with exit code 1.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const statements = process.argv.slice(2);
const url = process.env.DATABASE_URL;
if (statements.length === 0 || url === undefined) {
  console.error('usage: DATABASE_URL=postgres://... node scripts/sql.mjs "SQL" ["SQL" ...]');
  process.exit(2);
}
if (!existsSync(fileURLToPath(new URL('../node_modules/pg', import.meta.url)))) {
  console.error('The npm packages are not installed: run "npm ci" first.');
  process.exit(1);
}
const { default: pg } = await import('pg');

function show({ command, rowCount, fields, rows }) {
  if (fields.length === 0) return console.log(rowCount === null ? command : `${command} ${rowCount}`);
  console.log(fields.map(({ name }) => name).join(' | '));
  for (const row of rows) console.log(row.map((value) => value ?? '').join(' | '));
  console.log(`(${rows.length} row${rows.length === 1 ? '' : 's'})\n`);
}

// Every value as the server wrote it.
const types = { getTypeParser: () => (text) => text };
const client = new pg.Client({ connectionString: url, types });
client.on('notice', ({ severity, message }) => console.error(`${severity}:  ${message}`));
try {
  await client.connect();
  for (const text of statements) {
    const result = await client.query({ text, rowMode: 'array' });
    for (const one of Array.isArray(result) ? result : [result]) show(one);
  }
} catch (error) {
  console.error(`${error.severity ?? 'ERROR'}:  ${error.message}`);
  if (error.detail !== undefined) console.error(`DETAIL:  ${error.detail}`);
  if (error.hint !== undefined) console.error(`HINT:  ${error.hint}`);
  process.exitCode = 1;
} finally {
  await client.end().catch(() => undefined);
}
