/**
 * `npm run pictures`: the page of a demo under load, in light and dark and on a phone, as PNG files for docs/. scripts/pictures.mjs
 * builds and starts it. Needs Chromium.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { findChromium, startChromium } from './chromium.ts';
import { startDemo, stopDemo } from './demo.ts';
import { openRunDir } from './run-dir.ts';

const loadMs = Number(process.env['WEIR_PICTURES_LOAD_MS'] ?? 240_000);
const clients = 40;
const below = (count: number): number => 1 + Math.floor(Math.random() * count);

/** What the clients of a shop do; each statement with its share of all. */
const statements: readonly (readonly [number, () => string])[] = [
  [0.35, () => 'SELECT city, count(*) FROM customers GROUP BY city'],
  [0.3, () => `/* weir: cache=off */ SELECT name, price FROM products WHERE id = ${below(100)}`],
  [0.2, () => `SELECT sum(quantity) FROM orders WHERE customer_id = ${below(1000)}`],
  [0.1, () => `INSERT INTO orders (customer_id, product_id, quantity) VALUES (${below(1000)}, ${below(100)}, 1)`],
  [0.04, () => 'SELECT count(*), pg_sleep(0.02) FROM orders'],
  [0.01, () => 'SELECT 1 / (quantity - quantity) FROM orders LIMIT 1'],
];

function choose(): string {
  let left = Math.random();
  for (const [share, make] of statements) if ((left -= share) < 0) return make();
  return 'SELECT 1';
}

async function work(url: string, number: number, until: () => boolean): Promise<void> {
  const client = new pg.Client({
    connectionString: url,
    application_name: ['web', 'jobs', 'reports'][number % 3] ?? '',
  });
  client.on('error', () => undefined);
  await client.connect();
  if (number === 1) await client.query('LISTEN orders_changed');
  if (number === 2) await client.query('CREATE TEMPORARY TABLE report (n int)');
  while (!until()) {
    await client.query(choose()).catch(() => undefined);
    await sleep(Math.random() * 120);
  }
  await client.end();
}

export async function main(folder: string): Promise<number> {
  const program = findChromium();
  if (program === undefined) {
    console.error('there is no Chromium (Debian: apt-get install chromium)');
    return 1;
  }
  const run = openRunDir();
  const demo = await startDemo(run, 1);
  let isOver = false;
  try {
    const url = demo.weir.url({ database: 'shop' });
    const load = Array.from({ length: clients }, (_, i) => work(url, i, () => isOver));
    await sleep(loadMs);
    await takePictures(program, `http://127.0.0.1:${demo.weir.httpPort}/`, folder);
    isOver = true;
    await Promise.all(load);
    return 0;
  } finally {
    isOver = true;
    await stopDemo(demo);
    await run.remove();
  }
}

const views = [
  { name: 'page-light', colorScheme: 'light', viewport: { width: 1280, height: 1150 } },
  { name: 'page-dark', colorScheme: 'dark', viewport: { width: 1280, height: 1150 } },
  { name: 'page-phone', colorScheme: 'light', viewport: { width: 390, height: 844 } },
] as const;

async function takePictures(program: string, url: string, folder: string): Promise<void> {
  const browser = await startChromium(program);
  for (const { name, colorScheme, viewport } of views) {
    const page = await browser.newPage({ colorScheme, viewport });
    await page.goto(url);
    // Statements come with the first update, rates of databases with the next ones.
    await page.locator('#statements tbody tr').first().waitFor();
    await page.locator('#databases tbody td', { hasText: 'ms' }).first().waitFor();
    await page.screenshot({ path: join(folder, `${name}.png`) });
    await page.close();
  }
  await browser.close();
}
