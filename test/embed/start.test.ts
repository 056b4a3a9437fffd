/**
 * startWeir() without a server: what it gives, what it refuses, reloads, several at once. integration/embedding.test.ts has
 * clients, and a program that must end by itself.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startWeir, WeirConfigError, type LogLine, type Weir, type WeirSettings } from '../../src/index.ts';

const settings: WeirSettings = {
  listen: '127.0.0.1:0',
  http: '127.0.0.1:0',
  databases: { shop: { primary: 'postgres://app:secret@127.0.0.1:1/shop' } },
};

let dir: string;
let lines: LogLine[];
const weirs: Weir[] = [];
const log = (line: LogLine): void => void lines.push(line);

async function start(configuration: WeirSettings | string = settings, options = {}): Promise<Weir> {
  const weir = await startWeir(configuration, { log, ...options });
  weirs.push(weir);
  return weir;
}

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'weir-embed-'));
  lines = [];
});
afterEach(async () => {
  for (const weir of weirs.splice(0)) await weir.stop();
  rmSync(dir, { recursive: true });
});

const statusOf = async ({ http }: Weir, path: string): Promise<number> =>
  (await fetch(`http://127.0.0.1:${http?.port}${path}`)).status;

describe('a Weir inside of a program', () => {
  it('has the real ports, and a URL', async () => {
    const weir = await start();
    expect(weir.address).toEqual({ host: '127.0.0.1', port: expect.any(Number) });
    expect(weir.address.port).toBeGreaterThan(0);
    expect(await statusOf(weir, '/healthz')).toBe(200);
    expect(weir.url('my shop')).toBe(`postgres://127.0.0.1:${weir.address.port}/my%20shop`);
    expect(weir.url('shop', { user: 'a@b', password: 'p/w' })).toBe(
      `postgres://a%40b:p%2Fw@127.0.0.1:${weir.address.port}/shop`,
    );
    expect(lines.map(({ event, level }) => [event, level])).toContainEqual(['listening', 'info']);
  });

  it('has no http if that is null, and a URL that can be used if it listens everywhere', async () => {
    const weir = await start({ ...settings, listen: '0.0.0.0:0', http: null });
    expect(weir.http).toBeUndefined();
    expect(weir.url('shop')).toBe(`postgres://127.0.0.1:${weir.address.port}/shop`);
  });

  it('says when its servers have been looked at, and not after its end', async () => {
    const weir = await start();
    await weir.ready();
    await weir.stop();
    await expect(weir.ready()).rejects.toThrow('Weir has stopped');
    await expect(weir.reload()).rejects.toThrow('Weir has stopped');
  });

  it('stops once, however often it is told to; `ended` resolves', async () => {
    const weir = await start();
    await Promise.all([weir.stop(), weir.drain(), weir.stop()]);
    await weir.ended;
    await expect(statusOf(weir, '/healthz')).rejects.toThrow();
    expect(lines.filter(({ event }) => event === 'stopped')).toHaveLength(1);
  });

  it('shares nothing with another one', async () => {
    const [one, two] = await Promise.all([start(), start()]);
    expect(one.address.port).not.toBe(two.address.port);
    await one.stop();
    expect(await statusOf(two, '/healthz')).toBe(200);
  });

  it('reads WEIR_<KEY> only where it is told to', async () => {
    const weir = await start(settings, { env: { WEIR_HTTP: 'null' } });
    expect(weir.http).toBeUndefined();
  });
});

describe('reload()', () => {
  it('applies other settings, and names what needs a new start', async () => {
    const weir = await start();
    expect(await weir.reload({ ...settings, max_client_conn: 7, unix_socket_mode: '0700' })).toEqual({
      changed: ['max_client_conn'],
      needRestart: ['unix_socket_mode'],
    });
    // It is what is read again now.
    expect(await weir.reload()).toMatchObject({ changed: [] });
  });

  it('reads the file again', async () => {
    const file = join(dir, 'weir.yaml');
    const text = 'listen: 127.0.0.1:0\nhttp: null\ndatabases: { shop: { primary: postgres://db1/shop } }\n';
    writeFileSync(file, text);
    const weir = await start(file);
    writeFileSync(file, `${text}max_client_conn: 7\n`);
    expect(await weir.reload()).toEqual({ changed: ['max_client_conn'], needRestart: [] });
    writeFileSync(file, 'nonsense');
    await expect(weir.reload()).rejects.toBeInstanceOf(WeirConfigError);
  });

  it('changes nothing if the settings are wrong', async () => {
    const weir = await start();
    const wrong = { ...settings, query_wait_timeout: 'soon' };
    await expect(weir.reload(wrong)).rejects.toThrow('query_wait_timeout: "soon" is not a duration');
    expect(await weir.reload()).toMatchObject({ changed: [] });
  });
});

describe('what is refused', () => {
  const problemsOf = async (configuration: unknown): Promise<readonly string[]> => {
    const error = await startWeir(configuration as WeirSettings, { log }).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(WeirConfigError);
    return (error as WeirConfigError).problems;
  };

  it('is said at once and completely', async () => {
    const [unknown, type, ...others] = await problemsOf({ ...settings, cash: {}, max_client_conn: 'many' });
    expect(unknown).toMatch(/^configuration: cash: unknown key/);
    expect(type).toMatch(/^configuration: max_client_conn: "many" is not/);
    expect(others).toEqual([]);
  });

  it('no configuration at all, and a file that is not there', async () => {
    for (const nothing of [undefined, null, 7, []])
      expect(await problemsOf(nothing)).toEqual([expect.stringContaining('neither an object')]);
    const circle: Record<string, unknown> = {};
    circle['databases'] = circle;
    expect(await problemsOf(circle)).toEqual([expect.stringContaining('cannot be written as JSON')]);
    expect(await problemsOf(join(dir, 'weir.yaml'))).toEqual([expect.stringContaining('weir.yaml')]);
  });

  it('several workers: they are processes of the command', async () => {
    expect(await problemsOf({ ...settings, workers: 2 })).toEqual([expect.stringMatching(/^workers: 2: .*weir serve/)]);
  });

  it('a port that is in use: the error has its cause', async () => {
    const other: Server = createServer();
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const { port } = other.address() as { port: number };
    const error: unknown = await startWeir({ ...settings, listen: `127.0.0.1:${port}` }, { log }).catch(
      (reason: unknown) => reason,
    );
    other.close();
    expect(error).toMatchObject({
      message: expect.stringContaining('Weir cannot start: cannot listen on') as string,
      cause: { code: 'EADDRINUSE' },
    });
  });
});
