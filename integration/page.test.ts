/**
 * The page of a real Weir in a real Chromium: what is seen is what the metrics say, names and statements are text whatever is in
 * them, it asks nobody but Weir, works below a path of a proxy, and comes again by itself after Weir was gone. Skipped where there
 * is no Chromium (Debian: apt-get install chromium).
 */
import { createServer, request as ask, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { findChromium, startChromium } from './harness/chromium.ts';
import {
  closeClients,
  connectPg,
  freePort,
  startTestWeir,
  startWeir,
  until,
  useCluster,
  weirConfig,
} from './harness/index.ts';
import type { TestWeir, WeirConfig } from './harness/index.ts';

const cluster = useCluster();
const program = findChromium();
let browser: Browser;
let database: string;
const contexts: BrowserContext[] = [];
const servers: Server[] = [];

interface Opened {
  readonly page: Page;
  /** Hosts that were asked, and what the console of the browser has said. */
  readonly hosts: Set<string>;
  readonly said: string[];
  text(selector: string): Promise<string>;
}

async function openPage(url: string, options: Parameters<Browser['newContext']>[0] = {}): Promise<Opened> {
  const context = await browser.newContext(options);
  contexts.push(context);
  const page = await context.newPage();
  const hosts = new Set<string>();
  const said: string[] = [];
  page.on('request', (each) => void hosts.add(new URL(each.url()).host));
  page.on('console', (message) => message.type() === 'error' && said.push(message.text()));
  page.on('pageerror', (error) => said.push(error.message));
  page.on('dialog', (dialog) => {
    said.push(`dialog ${dialog.message()}`);
    void dialog.dismiss();
  });
  await page.goto(url);
  return { page, hosts, said, text: (selector) => page.locator(selector).innerText() };
}

const pageOf = (weir: Pick<TestWeir, 'httpPort'>): string => `http://127.0.0.1:${weir.httpPort}/`;

/** The sum of the samples of a metric whose labels contain all of these. */
async function metric(weir: Pick<TestWeir, 'httpPort'>, name: string, ...labels: readonly string[]): Promise<number> {
  const text = await (await fetch(`${pageOf(weir)}metrics`)).text();
  const lines = text
    .split('\n')
    .filter((line) => new RegExp(`^${name}[ {]`).test(line) && labels.every((label) => line.includes(label)));
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}

/** The cells of the row that has this text, by their heads. */
async function rowOf(page: Page, section: string, text: string): Promise<Record<string, string>> {
  const row = page.locator(`#${section} tbody tr`, { hasText: text }).first();
  const cells = await row.locator('td').all();
  const pairs = cells.map(
    async (cell) => [(await cell.getAttribute('data-head')) ?? '', await cell.innerText()] as const,
  );
  return Object.fromEntries(await Promise.all(pairs)) as Record<string, string>;
}

const config = (more: WeirConfig = {}): WeirConfig =>
  weirConfig(cluster, { database }, { cache: { enabled: true }, log: { level: 'error' }, ...more });

describe.skipIf(program === undefined)(
  `the page in Chromium${program === undefined ? ' (skipped: there is none)' : ''}`,
  () => {
    beforeAll(async () => {
      database = await cluster.createDatabase();
      browser = await startChromium(program ?? '');
    });
    afterEach(async () => {
      await closeClients();
      for (const context of contexts.splice(0)) await context.close();
      for (const server of servers.splice(0)) {
        server.closeAllConnections();
        server.close();
      }
    });
    afterAll(async () => {
      await browser.close();
      await cluster.dropDatabase(database);
    });

    test('shows what the metrics say: clients, pins, pools, nodes, the cache; and asks nobody else', async () => {
      const weir = await startTestWeir(config());
      const client = await connectPg(weir.url({ database }));
      await client.query('CREATE TABLE IF NOT EXISTS seen (n int)');
      await client.query('LISTEN something');
      const { page, hosts, said, text } = await openPage(pageOf(weir));
      await until('the pinned client to be seen', async () => (await text('#clients')).includes('LISTEN'));
      expect(await rowOf(page, 'clients', 'LISTEN')).toMatchObject({
        user: expect.stringContaining('app'),
        'server of': 'primary',
      });
      const pool = await rowOf(page, 'pools', `${database}.app`);
      const limit = await metric(weir, 'weir_pool_size_limit', `database="${database}"`, 'node="primary"');
      const pinned = await metric(weir, 'weir_pool_pinned', `database="${database}"`, 'node="primary"');
      expect(pool['in use']).toMatch(new RegExp(`^1 of ${limit}$`));
      expect([pool['pinned'], pinned]).toEqual(['1', 1]);
      for (const node of ['primary', 'replica1', 'replica2']) {
        expect((await rowOf(page, 'nodes', node))['state']).toBe('up');
        expect(await metric(weir, 'weir_node_up', `node="${node}"`)).toBe(1);
      }
      const reader = await connectPg(weir.url({ database }));
      await until('a hit of the cache', async () => {
        await reader.query('SELECT count(*) FROM seen');
        return (await metric(weir, 'weir_cache_hits_total')) > 0;
      });
      await until('the hits to be seen', async () => {
        const shown = Number((await rowOf(page, 'cache', ''))['hits']?.replaceAll(',', ''));
        return shown > 0 && shown === (await metric(weir, 'weir_cache_hits_total'));
      });
      const console = await connectPg(weir.adminUrl());
      await until('the statement with its calls', async () => {
        const { rows } = await console.query<{ query: string; calls: string }>('SHOW STATEMENTS');
        const counted = rows.find(({ query }) => query.includes('FROM seen'));
        return (await rowOf(page, 'statements', 'FROM seen'))['calls'] === Number(counted?.calls).toLocaleString('en');
      });
      await page.locator('#statements button', { hasText: 'misses' }).click();
      expect((await rowOf(page, 'statements', 'FROM seen'))['misses']).toMatch(/^[1-9]/);
      expect(await text('#figures')).toMatch(/2\s+clients/);
      await until('the charts', async () => (await page.locator('#charts canvas').count()) === 8);
      expect([...hosts]).toEqual([`127.0.0.1:${weir.httpPort}`]);
      expect(said).toEqual([]);
      await weir.stop();
    });

    test('says that clients wait, for what, and that all is well again', async () => {
      const weir = await startTestWeir(config({ default_pool_size: 1, max_pool_size: 1, resize: { enabled: false } }));
      const holder = await connectPg(weir.url({ database }));
      await holder.query('BEGIN');
      await holder.query('SELECT 1');
      const waiting = await connectPg(weir.url({ database }));
      const answer = waiting.query('/* weir: route=primary */ SELECT 2');
      const { page, text } = await openPage(pageOf(weir));
      await until('the problem to be told', async () => /is full: one client waits/.test(await text('#problems')));
      expect(await text('#problems')).toMatch(/1 of 1 connections are in use, and it may not grow beyond 1/);
      expect(await page.title()).toMatch(/^1 (warning|problem) – Weir$/);
      expect((await rowOf(page, 'clients', 'waiting'))['state']).toMatch(/^waiting /);
      await holder.query('COMMIT');
      await answer;
      await until('all to be well', async () => (await text('#verdict h1')) === 'Weir is fine');
      expect(await page.title()).toBe('Weir');
      await weir.stop();
    });

    test('shows what strangers have written as text: a database, an application and a statement that are markup', async () => {
      const hostile = '<img onerror>';
      const configured = config();
      const own = (configured['databases'] as Record<string, unknown>)[database];
      const weir = await startTestWeir({ ...configured, databases: { [hostile]: own } });
      const client = await connectPg(weir.url({ database: hostile }));
      await client.query("SET application_name = '<script>alert(2)</script>'");
      await client.query('LISTEN something');
      const { page, said, text } = await openPage(pageOf(weir));
      await until('its name to be seen', async () => (await text('#clients')).includes('<script>alert(2)</script>'));
      expect(await text('#pools')).toContain(`${hostile}.app`);
      expect(await text('#databases')).toContain(hostile);
      expect(await page.locator('main img, main script').count()).toBe(0);
      expect(said).toEqual([]);
      await weir.stop();
    });

    test('works below a path of a proxy, which sees figures only', async () => {
      const weir = await startTestWeir(config());
      const client = await connectPg(weir.url({ database }));
      await client.query('LISTEN something');
      const proxy = createServer((incoming, outgoing) => {
        const path = incoming.url ?? '';
        if (!path.startsWith('/ops/weir/')) return void outgoing.writeHead(404).end();
        const headers = { ...incoming.headers, 'x-forwarded-for': '192.0.2.7' };
        const passed = ask({ port: weir.httpPort, path: path.slice('/ops/weir'.length), headers }, (answer) => {
          outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
          answer.pipe(outgoing);
        });
        passed.on('error', () => outgoing.destroy());
        outgoing.on('close', () => passed.destroy());
        passed.end();
      });
      servers.push(proxy);
      await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
      const { page, said, text } = await openPage(
        `http://127.0.0.1:${(proxy.address() as AddressInfo).port}/ops/weir/`,
      );
      await until('a pool to be seen', async () => (await text('#pools')).includes(`${database}.app`));
      expect(await page.locator('#clients').isVisible()).toBe(false);
      expect(await page.content()).not.toContain('LISTEN');
      expect(said).toEqual([]);
      await weir.stop();
    });

    test('says that Weir is gone, and goes on by itself with the next one', async () => {
      const port = await freePort();
      const http = `127.0.0.1:${port}`;
      const first = await startWeir(config({ http }));
      const { page, text } = await openPage(`http://${http}/`);
      await until('figures', async () => (await text('#verdict h1')) === 'Weir is fine');
      const before = await text('#about');
      await first.stop();
      await until('it to be told', async () => page.locator('#connection').isVisible());
      expect(await text('#connection')).toMatch(
        /^Weir does not answer\. This page tries again by itself\. What you see is from /,
      );
      expect(await page.title()).toBe('No answer – Weir');
      const second = await startWeir(config({ http }));
      await until('it to go on', async () => !(await page.locator('#connection').isVisible()));
      await until('new figures', async () => (await text('#about')) !== before);
      await second.stop();
    });

    test('shows the figures of all workers', async () => {
      const weir = await startWeir(config({ workers: 3 }));
      const clients = await Promise.all(Array.from({ length: 9 }, () => connectPg(weir.url({ database }))));
      for (const [i, client] of clients.entries()) if (i < 6) await client.query('LISTEN something');
      const { page, text } = await openPage(pageOf(weir));
      await until(
        'all pinned clients',
        async () => (await page.locator('#clients tbody tr', { hasText: 'LISTEN' }).count()) === 6,
      );
      expect(await text('#about')).toContain('3 workers');
      const connected = await metric(weir, 'weir_client_connections', `database="${database}"`);
      await until('all clients', async () => new RegExp(`${connected}\\s+clients`).test(await text('#figures')));
      expect(connected).toBe(9);
      expect((await rowOf(page, 'pools', `${database}.app`))['pinned']).toBe('6');
      const shown = page.locator('#chart-sessions .legend b');
      await until('what all have noted', async () => (await shown.innerText()) === '9');
      await weir.stop();
    });

    test('is dark or light as the system is, or as was chosen, and fits a phone', async () => {
      const weir = await startTestWeir(config());
      const { page, text } = await openPage(pageOf(weir), {
        colorScheme: 'dark',
        viewport: { width: 375, height: 700 },
      });
      await until('figures', async () => (await text('#about')) !== '');
      const background = (): Promise<string> => page.evaluate('getComputedStyle(document.body).backgroundColor');
      const dark = await background();
      await page.locator('#theme').selectOption('light');
      const light = await background();
      expect(light).not.toBe(dark);
      await page.reload();
      expect(await background()).toBe(light);
      await page.emulateMedia({ colorScheme: 'light' });
      await page.locator('#theme').selectOption('auto');
      expect(await background()).toBe(light);
      const [inside, outside] = await page.evaluate<[number, number]>(
        '[document.documentElement.scrollWidth, innerWidth]',
      );
      expect(inside).toBeLessThanOrEqual(outside);
      await weir.stop();
    });
  },
);
