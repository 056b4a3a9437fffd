/**
 * The files of the page and its event stream, through the HTTP server: who may see what, headers, bounds. Fails if one snapshot is
 * made for each who looks, or one while nobody does, or if a reader that does not read is kept.
 */
import { EventEmitter } from 'node:events';
import type { ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Config } from '../../../src/config/config.ts';
import { createHttpServer, type HttpServer } from '../../../src/observability/http.ts';
import { createMetrics, type Metrics } from '../../../src/observability/metrics.ts';
import { dropAfterMs, Feed, mostStreams, type FeedOptions } from '../../../src/observability/page/feed.ts';
import { rowLength } from '../../../src/observability/page/noted.ts';
import { createPage } from '../../../src/observability/page/page.ts';
import type { Hello, Update } from '../../../src/observability/page/types.ts';
import { fakeClient, fakeProcess, fakeSources } from '../../console/fakes.ts';

let metrics: Metrics;
let http: HttpServer;
let port: number;
let setting: Config['httpPage'];
/** How often the figures were read. */
let reads: boolean[];
let nowMs: number;
let isBroken: boolean;
let options: FeedOptions;
const logged: string[] = [];
const open: AbortController[] = [];
const sockets: Socket[] = [];

beforeEach(async () => {
  setting = 'auto';
  reads = [];
  nowMs = 0;
  isBroken = false;
  logged.length = 0;
  const clients = Array.from({ length: 50 }, (_, id) => fakeClient({ id }));
  const sources = fakeSources({ clients: () => clients });
  metrics = createMetrics(sources);
  const state = { isListening: true, isDraining: false };
  const log = (_level: string, event: string, message: string): void => void logged.push(`${event} ${message}`);
  const clock = { nowMs: () => nowMs, epochMs: () => 1_800_000_000_000 };
  options = {
    read: (isAll) => {
      reads.push(isAll);
      if (isBroken) return Promise.reject(new Error('no worker answers'));
      return Promise.resolve({ sources, slots: [{ slot: 900_000_000 - 1, row: new Float64Array(rowLength) }] });
    },
    process: () => fakeProcess(),
    serving: () => state,
    ...clock,
    log,
  };
  const page = createPage({ ...options, setting: () => setting });
  const listen = { host: '127.0.0.1', port: 0 };
  http = createHttpServer({
    door: {
      token: () => undefined,
      patternProblem: () => undefined,
      invalidate: () => Promise.reject(new Error('off')),
    },
    listen,
    metrics,
    sources,
    page,
    hosts: () => [],
    serving: () => state,
    nowMs: clock.nowMs,
    log,
  });
  port = await http.listen();
});
afterEach(async () => {
  for (const each of open.splice(0)) each.abort();
  for (const each of sockets.splice(0)) each.destroy();
  metrics.close();
  await http.close();
});

/** A connection whose other end decides what it reads. */
class FakeResponse extends EventEmitter {
  readonly written: string[] = [];
  readonly destroyed = false;
  writableLength = 0;
  isDestroyed = false;
  writeHead(): void {}
  write(text: string): void {
    this.written.push(text);
  }
  end(): void {}
  destroy(): void {
    this.isDestroyed = true;
    this.emit('close');
  }
}

const url = (path: string): string => `http://127.0.0.1:${port}${path}`;

interface Stream {
  readonly status: number;
  readonly headers: Headers;
  next(): Promise<{ name: string; data: unknown }>;
  leave(): void;
}

async function listenTo(headers: Record<string, string> = {}): Promise<Stream> {
  const controller = new AbortController();
  open.push(controller);
  const response = await fetch(url('/events'), { headers, signal: controller.signal });
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  return {
    status: response.status,
    headers: response.headers,
    leave: () => controller.abort(),
    async next() {
      for (;;) {
        const found = /event: (\w+)\ndata: (.*)\n\n/.exec(text);
        if (found !== null) {
          text = text.slice(found.index + found[0].length);
          return { name: found[1] ?? '', data: JSON.parse(found[2] ?? '') as unknown };
        }
        const chunk = await reader?.read();
        if (chunk === undefined || chunk.done) throw new Error('the stream has ended');
        text += chunk.value;
      }
    },
  };
}

async function firstUpdate(stream: Stream): Promise<Update> {
  const hello = await stream.next();
  expect(hello).toMatchObject({ name: 'hello', data: { slotMs: 2_000, slotCount: 450 } });
  expect((hello.data as Hello).build).not.toBe('');
  const update = await stream.next();
  expect(update.name).toBe('update');
  return update.data as Update;
}

describe('the files', () => {
  it('are Weir\u2019s own, with a policy that allows nothing else, and link relatively', async () => {
    const response = await fetch(url('/'));
    expect(response.headers.get('content-security-policy')).toMatch(/^default-src 'self'; .*frame-ancestors 'none'/);
    const html = await response.text();
    expect(html).not.toMatch(/https?:\/\//);
    const links = [...html.matchAll(/ (?:src|href)="([^"#]+)"/g)].map(([, link = '']) => link);
    expect(links.filter((link) => link.startsWith('/'))).toEqual([]);
    for (const link of links.filter((each) => each.startsWith('page/'))) {
      const file = await fetch(url(`/${link}`));
      expect([link, file.status]).toEqual([link, 200]);
      expect(file.headers.get('content-security-policy')).toContain("default-src 'self'");
      for (const [, imported = ''] of (await file.text()).matchAll(/^import .* from '(.*)';$/gm))
        expect([imported, (await fetch(new URL(imported, url(`/${link}`)))).status]).toEqual([imported, 200]);
    }
    expect(await (await fetch(url('/page/uplot/LICENSE.txt'))).text()).toContain('MIT License');
  });

  it('are packed, and not sent again to who has them', async () => {
    const first = await fetch(url('/page/uplot/uPlot.esm.js'));
    expect(first.headers.get('content-encoding')).toBe('gzip');
    const headers = { 'If-None-Match': first.headers.get('etag') ?? '' };
    expect((await fetch(url('/page/uplot/uPlot.esm.js'), { headers })).status).toBe(304);
    const plain = await fetch(url('/page/main.js'), { headers: { 'Accept-Encoding': 'identity' } });
    expect(plain.headers.get('content-encoding')).toBeNull();
    expect(plain.headers.get('content-type')).toContain('text/javascript');
  });

  it('are a fixed list', async () => {
    for (const path of [
      '/page/',
      '/page/../package.json',
      '/page/%2e%2e/package.json',
      '/page/nosuch.js',
      '/index.html',
    ])
      expect([path, (await fetch(url(path))).status]).toEqual([path, 404]);
  });

  it('are not there with http_page: off', async () => {
    setting = 'off';
    for (const path of ['/', '/events', '/page/main.js']) expect((await fetch(url(path))).status).toBe(404);
    expect((await fetch(url('/metrics'))).status).toBe(200);
  });
});

describe('who may see it', () => {
  it('shows clients on this machine, and figures only to others', async () => {
    const local = await firstUpdate(await listenTo());
    expect(local.snapshot.clients?.total).toBe(50);
    expect(local.statements?.byTime.map(({ text }) => text)).toEqual(['SELECT * FROM a WHERE id = ?']);
    const proxied = await firstUpdate(await listenTo({ 'X-Forwarded-For': '192.0.2.1' }));
    expect([proxied.snapshot.clients, proxied.statements]).toEqual([undefined, null]);
    expect(JSON.stringify(proxied)).not.toContain('SELECT * FROM a');
    expect(proxied.snapshot?.pools.total).toBe(1);
    setting = 'figures';
    expect((await firstUpdate(await listenTo())).snapshot?.clients).toBeUndefined();
    setting = 'full';
    expect((await firstUpdate(await listenTo({ Via: '1.1 proxy' }))).snapshot?.clients?.total).toBe(50);
  });

  it('obeys a reload while a stream is open', async () => {
    const stream = await listenTo();
    expect((await firstUpdate(stream)).snapshot?.clients).toBeDefined();
    setting = 'figures';
    expect(((await stream.next()).data as Update).snapshot?.clients).toBeUndefined();
  });

  it('refuses pages of other origins, which could not read it but use up streams', async () => {
    // fetch() does not let one set it.
    const status = await new Promise<string>((resolve) => {
      const socket = connect(port, '127.0.0.1', () =>
        socket.write('GET /events HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: cross-site\r\n\r\n'),
      );
      sockets.push(socket);
      socket.once('data', (chunk: Buffer) => resolve(chunk.toString('latin1').slice(9, 12)));
    });
    expect(status).toBe('403');
    expect((await fetch(url('/events'), { method: 'HEAD' })).status).toBe(200);
    expect(reads).toEqual([]);
  });
});

describe('the stream', () => {
  it('begins with all that is known, then has the last seconds each second', async () => {
    const stream = await listenTo();
    expect(stream.headers.get('content-type')).toContain('text/event-stream');
    expect((await firstUpdate(stream)).isAll).toBe(true);
    const next = (await stream.next()).data as Update;
    expect(next.isAll).toBe(false);
    expect(next.points.atMs).toHaveLength(1);
  });

  it('has one snapshot made for all who look, and none when nobody does', async () => {
    expect(reads).toEqual([]);
    const streams = await Promise.all(Array.from({ length: 5 }, () => listenTo()));
    for (const each of streams) await firstUpdate(each);
    for (const each of streams) await each.next();
    expect(reads.filter((isAll) => isAll)).toHaveLength(5);
    const made = reads.filter((isAll) => !isAll).length;
    expect(made).toBeLessThanOrEqual(2);
    for (const each of streams) each.leave();
    await vi.waitFor(() => {
      const before = reads.length;
      return new Promise<void>((resolve, reject) =>
        setTimeout(() => (reads.length === before ? resolve() : reject(new Error('it goes on'))), 1_200),
      );
    }, 10_000);
  });

  it('is for so many at most, and free again when one has left', async () => {
    const streams = await Promise.all(Array.from({ length: mostStreams }, () => listenTo()));
    expect(streams.map(({ status }) => status)).toEqual(Array(mostStreams).fill(200));
    const refused = await listenTo();
    expect(refused.status).toBe(503);
    streams[0]?.leave();
    await vi.waitFor(async () => expect((await listenTo()).status).toBe(200), 10_000);
  });

  it('drops a reader that does not read, keeps no more than one update for it, and goes on for the others', async () => {
    vi.useFakeTimers();
    const feed = new Feed(options);
    const [slow, other] = [new FakeResponse(), new FakeResponse()];
    for (const response of [slow, other]) feed.open(response as unknown as ServerResponse, 'build', () => true);
    await vi.advanceTimersByTimeAsync(0);
    slow.writableLength = 1;
    const written = slow.written.length;
    for (let seconds = 0; seconds * 1_000 < dropAfterMs; seconds++) {
      expect([slow.isDestroyed, slow.written.length]).toEqual([false, written]);
      nowMs += 1_000;
      await vi.advanceTimersByTimeAsync(1_000);
    }
    nowMs += 1_000;
    await vi.advanceTimersByTimeAsync(1_000);
    expect([slow.isDestroyed, feed.viewers]).toEqual([true, 1]);
    expect(other.written.length).toBeGreaterThan(10);
    feed.close();
    vi.useRealTimers();
  });

  it('makes snapshots rarely where each takes long', async () => {
    vi.useFakeTimers();
    const read = (isAll: boolean): ReturnType<typeof options.read> => {
      nowMs += 100;
      return options.read(isAll);
    };
    const feed = new Feed({ ...options, read });
    const response = new FakeResponse();
    feed.open(response as unknown as ServerResponse, 'build', () => true);
    await vi.advanceTimersByTimeAsync(1_000);
    const before = reads.length;
    await vi.advanceTimersByTimeAsync(4_500);
    expect(reads).toHaveLength(before);
    await vi.advanceTimersByTimeAsync(500);
    expect(reads).toHaveLength(before + 1);
    feed.close();
    vi.useRealTimers();
  });

  it('says in the log that figures cannot be read, and goes on when they can', async () => {
    isBroken = true;
    const stream = await listenTo();
    expect((await stream.next()).name).toBe('hello');
    await vi.waitFor(() =>
      expect(logged.at(-1)).toBe('page_failed http: the figures for the page could not be read: no worker answers'),
    );
    isBroken = false;
    expect((await stream.next()).name).toBe('update');
  });

  it('ends with Weir', async () => {
    const stream = await listenTo();
    await firstUpdate(stream);
    await http.close();
    await expect(
      (async () => {
        for (;;) await stream.next();
      })(),
    ).rejects.toThrow();
  });
});
