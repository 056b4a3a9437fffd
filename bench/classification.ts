/**
 * What understanding a statement costs, on one core and without a server: a template's first sight (PostgreSQL's parser
 * runs), and every further statement of it with other constants.
 */
import { createClassifier } from '../src/sql/classifier.ts';
import type { BenchContext } from './context.ts';
import { median } from './numbers.ts';
import { atMost } from './report.ts';
import type { Section } from './report.ts';

/** By what they are; `n` makes each text another one of the same template. */
const statements: Readonly<Record<string, (n: number) => string>> = {
  'pgbench -S': (n) => `SELECT abalance FROM pgbench_accounts WHERE aid = ${n};`,
  'join with strings and numbers': (n) =>
    `SELECT o.id, o.total, c.name FROM orders o JOIN customers c ON c.id = o.customer_id
     WHERE c.city = 'city ${n}' AND o.placed_at > '2024-01-01' AND o.total BETWEEN ${n} AND ${n + 100}
     ORDER BY o.placed_at DESC LIMIT 20 OFFSET ${n % 50}`,
  'of an object mapper': (n) =>
    `SELECT "users"."id", "users"."email", "users"."first_name", "users"."last_name", "users"."created_at",
     "users"."updated_at", "users"."deleted_at", "profiles"."user_id", "profiles"."avatar", "profiles"."locale"
     FROM "users" LEFT OUTER JOIN "profiles" ON "profiles"."user_id" = "users"."id"
     WHERE "users"."deleted_at" IS NULL AND "users"."id" = $1 LIMIT ${1 + (n % 7)}`,
  update: (n) => `UPDATE pgbench_accounts SET abalance = abalance + ${n} WHERE aid = ${n * 7}`,
};

const TEXTS = 2000;
const FIRST_SIGHTS = 200;

interface Cost {
  readonly firstUs: number;
  readonly againUs: number;
}

/** Median over batches of the time per call, in microseconds. */
function perCallUs(batches: number, texts: readonly Buffer[], call: (text: Buffer) => unknown): number {
  const times = Array.from({ length: batches }, () => {
    const start = process.hrtime.bigint();
    for (const text of texts) call(text);
    return Number(process.hrtime.bigint() - start) / 1000 / texts.length;
  });
  return median(times);
}

async function measure(text: (n: number) => string, batches: number): Promise<Cost> {
  const classifier = await createClassifier();
  const texts = Array.from({ length: TEXTS }, (_, n) => Buffer.from(text(n)));
  // Another table name makes each of these a template of its own.
  const strangers = Array.from({ length: FIRST_SIGHTS }, (_, n) => Buffer.from(renamed(text(n), n)));
  const firstUs = median(strangers.map((sql) => perCallUs(1, [sql], (one) => classifier.classify(one))));
  perCallUs(10, texts, (sql) => classifier.classify(sql));
  return { firstUs, againUs: perCallUs(batches, texts, (sql) => classifier.classify(sql)) };
}

function renamed(sql: string, n: number): string {
  return sql.replace(/pgbench_accounts|customers|profiles/g, (name) => `${name}${n}`);
}

export async function classification(context: BenchContext): Promise<Section> {
  const costs: (Cost & { readonly label: string })[] = [];
  for (const [label, text] of Object.entries(statements)) {
    costs.push({ label, ...(await measure(text, context.isQuick ? 10 : 100)) });
    context.progress(`  ${label}`);
  }
  return {
    title: 'Classification',
    about: 'Microseconds per statement: literal-stripping scan and look-up; the parser runs at first sight only.',
    columns: ['', 'first sight, us', 'after that, us'],
    rows: costs.map(({ label, firstUs, againUs }) => ({ label, cells: [firstUs, againUs] })),
    targets: [
      atMost(
        'classification after the first sight: under 3 us',
        Math.max(...costs.map((cost) => cost.againUs)),
        3,
        ' us',
      ),
    ],
    notes: [],
  };
}
