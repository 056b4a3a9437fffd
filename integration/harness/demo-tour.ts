/**
 * `npm run demo -- --once`: does what the demo invites to do, shows what happened, and fails when it is not what was
 * promised: a read from a replica, a read of one's own write, a hit, a fresh answer after a write, a resize.
 */
import { join } from 'node:path';
import type pg from 'pg';
import { connectPg, lastRoute } from './clients.ts';
import type { Demo } from './demo.ts';
import { runProgram } from './programs.ts';
import { checkoutDir } from './run-dir.ts';
import { until } from './until.ts';
import { startWeir } from './weir.ts';

const DATABASE = 'shop';

class Promised extends Error {}

function expectThat(isTrue: boolean, promise: string): void {
  if (!isTrue) throw new Promised(promise);
}

function say(text: string): void {
  console.log(text);
}

/** Runs a statement of one value and tells how it went. */
async function ask(client: pg.Client, sql: string): Promise<{ value: string; route: string }> {
  const { rows } = await client.query<Record<string, unknown>>(sql);
  return { value: String(Object.values(rows[0] ?? {})[0] ?? ''), route: await lastRoute(client) };
}

function show(sql: string, { value, route }: { value: string; route: string }): void {
  say(`   ${sql}\n     = ${value === '' ? 'done' : value}\n     ${route}`);
}

async function routedRead(client: pg.Client): Promise<void> {
  say('\n1. A read goes to a replica, a write to the primary, and a session sees its own writes\n');
  await client.query(`SET weir.cache = 'off'`);
  const count = 'SELECT count(*) FROM orders';
  const read = await ask(client, count);
  show(count, read);
  expectThat(read.route.startsWith('replica'), 'the first read goes to a replica');
  const insert = 'INSERT INTO orders (customer_id, product_id, quantity) VALUES (1, 1, 1)';
  const write = await ask(client, insert);
  show(insert, write);
  expectThat(write.route.startsWith('primary'), 'a write goes to the primary');
  const again = await ask(client, count);
  show(count, again);
  expectThat(Number(again.value) === Number(read.value) + 1, 'a session sees its own write');
  await client.query('RESET weir.cache');
}

async function cachedRead(client: pg.Client, writer: pg.Client, who: string): Promise<void> {
  say(`\n2. A repeated read is a hit, until ${who} changes what it depends on\n`);
  const count = `SELECT count(*) FROM customers WHERE city = 'Quito'`;
  const first = await ask(client, count);
  show(count, first);
  const hit = await until('a hit', async () => {
    const answer = await ask(client, count);
    return answer.route.includes('hit') && answer;
  });
  show(count, hit);
  expectThat(hit.value === first.value, 'a hit is the same answer');
  const update = `UPDATE customers SET city = 'Quito' WHERE id = 1`;
  show(update, await ask(writer, update));
  const fresh = await until('the answer to be fresh', async () => {
    const answer = await ask(client, count);
    return Number(answer.value) === Number(first.value) + 1 && answer;
  });
  show(count, fresh);
}

async function resize(demo: Demo): Promise<void> {
  say('\n3. A pool is resized while it is in use\n');
  const args = ['resize', `${DATABASE}.app`, '--min', '30', '--max', '40'];
  say(`   weir ${args.join(' ')}`);
  const program = join(checkoutDir, 'bin/weir.js');
  const done = await runProgram(process.execPath, [program, ...args, '--url', demo.weir.adminUrl()]);
  say((done.stdout + done.stderr).trimEnd().replace(/^/gm, '     '));
  expectThat(done.code === 0 && done.stdout.includes('40'), 'a resize says what was and what is');
}

async function metrics(demo: Demo): Promise<void> {
  const url = `http://127.0.0.1:${demo.weir.httpPort}/metrics`;
  say(`\n4. All of it is on ${url}\n`);
  const { status, body } = await demo.weir.http('/metrics');
  const lines = body
    .split('\n')
    .filter((line) => /^weir_(queries_total|cache_hits_total|pool_resizes_total)/.test(line));
  say(lines.map((line) => `   ${line}`).join('\n'));
  expectThat(status === 200 && lines.length > 0, 'metrics are counted');
}

/** Resolves to the exit code. */
export async function tour(demo: Demo): Promise<number> {
  const client = await connectPg(demo.weir.url({ database: DATABASE }));
  // With a Redis the write comes through a second Weir, and the first must hear of it.
  const second = demo.redis === undefined ? undefined : await startWeir(demo.config, { run: demo.run });
  const writer = await connectPg((second ?? demo.weir).url({ database: DATABASE }));
  try {
    await routedRead(client);
    await cachedRead(client, writer, second === undefined ? 'another client' : 'a client of a second Weir');
    await resize(demo);
    await metrics(demo);
    say('\nThat was all. "npm run demo" leaves it running for you to try.');
    return 0;
  } catch (error) {
    console.error(`\nThis did not happen: ${error instanceof Error ? error.message : String(error)}`);
    console.error(`The log of Weir ends with:\n${demo.weir.output.slice(-3000)}`);
    return 1;
  } finally {
    await client.end();
    await writer.end();
    await second?.stop();
  }
}
