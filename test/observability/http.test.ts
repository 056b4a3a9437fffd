/**
 * The HTTP port: its paths, health and readiness, and requests that are malformed or too large. Fails if one of them gets
 * another status.
 */
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { patternProblem } from '../../src/cache/tag-pattern.ts';
import { createHttpServer } from '../../src/observability/http.ts';
import type { HttpOptions, HttpServer } from '../../src/observability/http.ts';
import { usualBounds, type HttpBounds } from '../../src/observability/http-connections.ts';
import { createMetrics } from '../../src/observability/metrics.ts';
import type { Metrics } from '../../src/observability/metrics.ts';
import type { ServingState, StatsSources } from '../../src/observability/types.ts';
import type { Page } from '../../src/observability/page/page.ts';
import { until } from '../../integration/harness/until.ts';
import { fakeNode, fakeSources } from '../console/fakes.ts';

let sources: StatsSources;
let metrics: Metrics;
let http: HttpServer;
let port: number;
let state: ServingState;
const logged: string[] = [];
let token: string | undefined;
const asked: unknown[] = [];

/** The real one has a test of its own: page/feed.test.ts. */
const page: Page = {
  answer(path, _request, response) {
    if (path === '/') response.end('the page');
    return Promise.resolve(path === '/');
  },
  close: () => undefined,
};

const make = (listenPort: number, bounds?: Partial<HttpBounds>): HttpServer =>
  createHttpServer(optionsFor(listenPort), { ...usualBounds, ...bounds });

const optionsFor = (listenPort: number): HttpOptions => ({
  listen: { host: '127.0.0.1', port: listenPort },
  metrics,
  sources,
  page,
  door: {
    token: () => token,
    patternProblem,
    invalidate: (tags, patterns) => {
      asked.push([tags, patterns]);
      return Promise.resolve({ tags: 2, entries: 3, notices: [] });
    },
  },
  hosts: () => ['weir.example.com'],
  serving: () => state,
  nowMs: () => 1000,
  log: (_level, event, message) => void logged.push(`${event} ${message}`),
});

beforeEach(async () => {
  token = undefined;
  asked.length = 0;
  sources = { ...fakeSources() };
  state = { isListening: true, isDraining: false };
  metrics = createMetrics(sources);
  http = make(0);
  port = await http.listen();
});
afterEach(async () => {
  metrics.close();
  await http.close();
});

const get = (path: string, init?: RequestInit): Promise<Response> => fetch(`http://127.0.0.1:${port}${path}`, init);

/** fetch() does not let one choose the Host. */
function statusFor(path: string, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () =>
      socket.write(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`),
    );
    let text = '';
    socket.setEncoding('latin1').on('data', (chunk: string) => (text += chunk));
    socket.on('error', reject).on('close', () => resolve(Number(text.slice(9, 12))));
  });
}

describe('http', () => {
  it('answers to its own names only, so that no page elsewhere can read it through a browser', async () => {
    const own = ['127.0.0.1:9432', '[::1]:9432', 'localhost', 'weir:9432', 'weir.prod.svc', 'Weir.Example.com:9432'];
    for (const host of own) expect([host, await statusFor('/stats.json', host)]).toEqual([host, 200]);
    for (const path of ['/', '/metrics', '/stats.json'])
      for (const host of ['evil.example.org', 'weir.example.com.evil.org', '127.0.0.1.evil.org:9432'])
        expect([path, host, await statusFor(path, host)]).toEqual([path, host, 421]);
    expect(await statusFor('/healthz', 'lb.example.org')).toBe(200);
  });

  it('serves metrics, health, figures and the page', async () => {
    const page = await get('/metrics');
    expect(page.headers.get('content-type')).toContain('text/plain; version=0.0.4');
    expect(await page.text()).toContain('weir_pool_size_limit{');
    expect(await (await get('/healthz')).text()).toBe('ok\n');
    const stats = (await (await get('/stats.json')).json()) as { nodes: unknown[]; pools: unknown[] };
    expect(stats).toMatchObject({ version: '0.1.0', clients: { active: 1, idle: 1 }, cache: { hits: 30 } });
    expect(stats.nodes).toHaveLength(2);
    expect(stats.nodes[1]).toMatchObject({ name: 'db2', isUp: false, lagMs: null });
    expect(JSON.stringify(stats)).not.toContain('geheim');
    expect(await (await get('/?x=1')).text()).toBe('the page');
  });

  it('is ready when it listens and every database has a node', async () => {
    const response = await get('/readyz');
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ ready: true, reasons: [], notes: ['db2: refused'] });
  });

  it('is ready, and notes what is in the way: a missing database, PAUSE, DISABLE, Redis', async () => {
    const shop = { name: 'shop', isPaused: true, isDisabled: true, problem: 'its server has no database "shop"' };
    const cache = { ...sources.cacheStats(), redis: 'down' as const, redisProblem: 'connect ECONNREFUSED' };
    Object.assign(sources, { databases: () => [shop], cacheStats: () => cache });
    const response = await get('/readyz');
    expect(response.status).toBe(200);
    const { ready, reasons, notes } = (await response.json()) as { ready: boolean; reasons: []; notes: string[] };
    expect([ready, reasons]).toEqual([true, []]);
    expect(notes).toEqual([
      'db2: refused',
      'database "shop": its server has no database "shop"',
      expect.stringMatching(/"shop" is paused .*RESUME/),
      expect.stringMatching(/"shop" is disabled .*ENABLE/),
      expect.stringMatching(/Redis .*ECONNREFUSED.*nothing is cached/),
    ]);
    Object.assign(sources, { cacheStats: () => ({ ...cache, redis: 'up', redisProblem: 'a bad setting' }) });
    expect(await (await get('/readyz')).text()).toContain('Redis (cache.redis): a bad setting');
    Object.assign(sources, { cacheStats: () => ({ ...cache, redis: 'up', redisProblem: undefined, hasLease: false }) });
    expect(await (await get('/readyz')).text()).toContain('until all Weirs that share the Redis are heard of');
  });

  it('does not speak of cached answers where the cache is off', async () => {
    const cache = { ...sources.cacheStats(), isEnabled: false, redis: 'off', hasLease: false };
    const notesFor = async (workers: string): Promise<unknown> => {
      Object.assign(sources, { cacheStats: () => ({ ...cache, workers }) });
      return ((await (await get('/readyz')).json()) as { notes: string[] }).notes.slice(1);
    };
    expect(await notesFor('up')).toEqual([]);
    expect(await notesFor('down')).toEqual([expect.stringMatching(/supervisor.*a replica may lack it/)]);
  });

  it('notes a node that an operator has drained', async () => {
    const nodes = [fakeNode({}), fakeNode({ name: 'db2', isDraining: true })];
    const snapshot = { database: 'shop', primary: nodes[0], replicas: [nodes[1]], nodes, epoch: 0 };
    Object.assign(sources, { topologies: () => [{ database: 'shop', snapshot: () => snapshot }] });
    const { notes } = (await (await get('/readyz')).json()) as { notes: string[] };
    expect(notes).toEqual([expect.stringMatching(/^db2: drained by an operator.*UNDRAIN/)]);
  });

  it('says in words why it is not ready', async () => {
    const down = fakeNode({ isUp: false, problem: 'connection refused' });
    const snapshot = { database: 'shop', primary: undefined, replicas: [], nodes: [down], epoch: 0 };
    Object.assign(sources, { topologies: () => [{ database: 'shop', snapshot: () => snapshot }] });
    state = { isListening: false, isDraining: true };
    const response = await get('/readyz');
    expect(response.status).toBe(503);
    expect(await response.json()).toEqual({
      ready: false,
      reasons: [
        'Weir does not listen for clients yet',
        'Weir is shutting down',
        'database "shop": no node can be reached (db1: connection refused)',
      ],
      notes: ['db1: connection refused'],
    });
    expect((await get('/healthz')).status).toBe(200);
  });

  it('refuses other methods and other paths', async () => {
    expect((await get('/metrics', { method: 'POST', body: 'x' })).status).toBe(405);
    expect((await get('/nowhere')).status).toBe(404);
    expect((await get('/healthz', { method: 'HEAD' })).status).toBe(200);
  });

  it('answers 500 when a figure cannot be read, and goes on', async () => {
    Object.assign(sources, {
      clients: () => {
        throw new Error('broken');
      },
    });
    expect((await get('/stats.json')).status).toBe(500);
    expect(logged.at(-1)).toBe('http_failed http: /stats.json failed: broken');
    expect((await get('/healthz')).status).toBe(200);
  });

  it('survives garbage', async () => {
    const socket = connect(port, '127.0.0.1');
    const answer = new Promise<string>((resolve) =>
      socket.once('data', (chunk: Buffer) => resolve(chunk.toString('latin1'))),
    );
    socket.on('error', () => {});
    socket.write('\0\x01\x02 this is not HTTP\r\n\r\n');
    expect(await answer).toContain('400 Bad Request');
    socket.destroy();
    expect((await get('/healthz')).status).toBe(200);
  });

  it('says that the port is in use', async () => {
    await expect(make(port).listen()).rejects.toThrow(`http: cannot listen on 127.0.0.1:${port}: the port is in use`);
  });

  it('closes although a client keeps its connection', async () => {
    const second = make(0);
    const secondPort = await second.listen();
    const socket = connect(secondPort, '127.0.0.1');
    socket.on('error', () => {});
    await new Promise((resolve) => socket.once('connect', resolve));
    await second.close();
    socket.destroy();
  });
});

describe('POST /invalidate', () => {
  const secret = 'a-token-that-is-long-enough';
  const post = (body: string, authorization = `Bearer ${secret}`): Promise<Response> =>
    get('/invalidate', { method: 'POST', body, headers: { authorization } });

  it('is not there without a token in the configuration', async () => {
    expect((await post('{"tags":["a"]}')).status).toBe(405);
    expect((await get('/invalidate')).status).toBe(404);
  });

  it('invalidates tags and patterns, and says how many there were', async () => {
    token = secret;
    const response = await post('{"tags":["users","user:1"],"patterns":["cart:*"]}');
    expect([response.status, await response.json()]).toEqual([200, { tags: 2, entries: 3 }]);
    expect(asked).toEqual([[['users', 'user:1'], ['cart:*']]]);
  });

  it('wants POST, and the token', async () => {
    token = secret;
    const wrong = await get('/invalidate');
    expect([wrong.status, wrong.headers.get('allow')]).toEqual([405, 'POST']);
    for (const header of ['', secret, `Basic ${secret}`, 'Bearer', `Bearer ${secret}x`, `Bearer ${secret.slice(1)}`]) {
      const refused = await post('{"tags":["a"]}', header);
      expect([header, refused.status, refused.headers.get('www-authenticate')]).toEqual([header, 401, 'Bearer']);
    }
    expect(asked).toEqual([]);
  });

  it.each([
    ['', 'not JSON'],
    ['{"tags":', 'not JSON'],
    ['[]', 'not a JSON object'],
    ['null', 'not a JSON object'],
    ['{}', 'names no tags'],
    ['{"tags":[]}', 'names no tags'],
    ['{"tags":"a"}', '"tags" is not a list'],
    ['{"tags":[1]}', '"tags" is not a list'],
    ['{"tags":[""]}', '"tags" is not a list'],
    [JSON.stringify({ tags: ['x'.repeat(201)] }), '"tags" is not a list'],
    [JSON.stringify({ patterns: Array.from({ length: 65 }, String) }), '"patterns" is not a list'],
    ['{"patterns":["*a*b*c*d*e*"]}', 'a pattern has more than 5 stars'],
    ['{"tags":["a"],"all":true}', 'nothing else'],
  ])('refuses the body %s', async (body, why) => {
    token = secret;
    const response = await post(body);
    expect([response.status, await response.text()]).toEqual([400, expect.stringContaining(why)]);
    expect(asked).toEqual([]);
  });

  it('refuses a large body, also one whose length is not said, and serves on', async () => {
    token = secret;
    expect((await post(' '.repeat(70_000))).status).toBe(413);
    const body = new ReadableStream({
      start(controller) {
        for (let i = 0; i < 70; i++) controller.enqueue(Buffer.alloc(1_000, ' '));
        controller.close();
      },
    });
    const headers = { authorization: `Bearer ${secret}` };
    const streamed = await get('/invalidate', { method: 'POST', body, headers, duplex: 'half' } as RequestInit);
    expect(streamed.status).toBe(413);
    expect((await post('{"tags":["a"]}')).status).toBe(200);
  });
});

describe('http connections', () => {
  const sockets: Socket[] = [];
  const others: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    for (const close of others.splice(0)) await close();
  });

  /** A port of its own; `isPassed`: connections are accepted elsewhere and passed on, as to a worker. */
  async function portOf(isPassed: boolean, bounds: Partial<HttpBounds>): Promise<number> {
    const server = make(0, bounds);
    others.push(() => server.close());
    if (!isPassed) return server.listen();
    const elsewhere = createServer((socket) => server.accept(socket));
    await new Promise<void>((resolve) => elsewhere.listen(0, '127.0.0.1', resolve));
    others.push(() => new Promise((resolve) => elsewhere.close(resolve)));
    return (elsewhere.address() as AddressInfo).port;
  }

  function open(to: number, text = ''): Socket {
    const socket = connect(to, '127.0.0.1', () => void socket.write(text)).on('error', () => {});
    sockets.push(socket);
    return socket;
  }

  const ended = (socket: Socket): Promise<unknown> =>
    new Promise((resolve) => socket.once('close', () => resolve(true)).resume());

  const ask = 'GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n';

  for (const isPassed of [false, true]) {
    const where = isPassed ? 'of a worker' : 'of one process';

    it(`${where} end when no request comes`, async () => {
      const to = await portOf(isPassed, { headersMs: 50, requestMs: 100, checkMs: 10 });
      expect(await ended(open(to))).toBe(true);
      expect(await ended(open(to, 'GET / HTTP/1.1\r\nHo'))).toBe(true);
    });

    it(`${where} are bounded in number, and those that wait for a next request make room`, async () => {
      const to = await portOf(isPassed, { mostConnections: 2 });
      const kept = [open(to, ask), open(to, ask)];
      await Promise.all(kept.map((socket) => new Promise((resolve) => socket.once('data', resolve))));
      const gone = kept.map(ended);
      expect(await ended(open(to))).toBe(true);
      await Promise.all(gone);
      expect((await fetch(`http://127.0.0.1:${to}/healthz`)).status).toBe(200);
    });

    it(`${where} end when the client asks on without reading, and cost few answers`, async () => {
      let rendered = 0;
      const { text } = metrics;
      Object.assign(metrics, { text: () => (rendered++, text.call(metrics)) });
      const to = await portOf(isPassed, {});
      expect(await ended(open(to, ask.repeat(1000)))).toBe(true);
      expect(rendered).toBeLessThanOrEqual(4);
    });

    it(`${where} serve one request after the other`, async () => {
      const socket = open(await portOf(isPassed, {}));
      for (let i = 0; i < 50; i++) {
        const answered = new Promise((resolve) => socket.once('data', resolve));
        socket.write('GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n');
        expect(String(await answered)).toMatch(/^HTTP\/1.1 200 /);
      }
    });
  }

  it('end when the client does not read its answer', async () => {
    Object.assign(metrics, { text: () => Promise.resolve('x'.repeat(50_000_000)) });
    const server = make(0, { stuckMs: 100 });
    others.push(() => server.close());
    let passed: Socket | undefined;
    const elsewhere = createServer((socket) => {
      passed = socket;
      server.accept(socket);
    });
    await new Promise<void>((resolve) => elsewhere.listen(0, '127.0.0.1', resolve));
    others.push(() => new Promise((resolve) => elsewhere.close(resolve)));
    open((elsewhere.address() as AddressInfo).port, ask).pause();
    await until('the end of the connection', () => passed?.destroyed === true, { intervalMs: 5 });
  });
});
