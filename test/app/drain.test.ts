/**
 * The order in which an app lets its clients finish: /readyz first, then no new clients, then each client at its boundary or when it
 * leaves. Fails if new clients are refused too early, a client is ended in mid-statement, or a second request makes the wait longer.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Clients } from '../../src/app/clients.ts';
import type { Directory } from '../../src/app/directory.ts';
import { Drain, sigtermMode, type DrainMode } from '../../src/app/drain.ts';
import type { Config } from '../../src/config/config.ts';
import { lastClientLeft } from '../../src/console/sources.ts';
import type { WeirError } from '../../src/errors/errors.ts';
import { until } from '../../integration/harness/until.ts';

class Client {
  isIdle: boolean;
  readonly poolMode = 'transaction';
  /** Of a console. */
  isAnswering = false;
  readonly inFlight: unknown[] = [];
  ended: string | undefined;
  private readonly leave: () => void;

  constructor(isIdle: boolean, leave: (client: Client) => void) {
    this.isIdle = isIdle;
    this.leave = () => leave(this);
  }
  terminate(error: WeirError): void {
    this.ended = error.sqlstate;
    this.leave();
  }
  close(error: WeirError): void {
    this.ended = error.detail ?? '';
    this.leave();
  }
}

let clients: Set<Client>;
let consoles: Set<Client>;
let config: Pick<Config, 'shutdownDelayMs' | 'shutdownTimeoutMs' | 'shutdownAs'>;
let log: string[];
let isStopped: boolean;
const reception = { isDraining: false };

beforeEach(() => {
  [clients, consoles, log, isStopped] = [new Set(), new Set(), [], false];
  reception.isDraining = false;
  config = { shutdownDelayMs: 0, shutdownTimeoutMs: 60_000, shutdownAs: 'weir' };
});

function add(isIdle: boolean, to = clients): Client {
  const client = new Client(isIdle, (which) => to.delete(which));
  to.add(client);
  return client;
}

function makeDrain(othersAreDone?: () => Promise<void>): Drain {
  const registry = {
    get count() {
      return clients.size + consoles.size;
    },
    all: () => [...clients],
    sessions: () => [...clients],
    consoles: () => [...consoles],
  };
  return new Drain({
    config: () => config as Config,
    clients: registry as unknown as Clients,
    directory: { all: () => [] } as unknown as Directory,
    listener: { stopAccepting: (where) => void log.push(`leave ${where}`) },
    reception,
    log: (_level, event, message, fields) => void log.push(`${event} ${message} ${JSON.stringify(fields ?? {})}`),
    ...(othersAreDone && { othersAreDone }),
    isStopped: () => isStopped,
    onMode: (mode) => void log.push(mode),
  });
}

const state = async (promise: Promise<void>): Promise<'over' | 'waits'> =>
  Promise.race([promise.then(() => 'over' as const), sleep(60).then(() => 'waits' as const)]);

describe('wait-for-servers', () => {
  it('ends idle clients and consoles at once, the others at their boundary', async () => {
    const [idle, busy, console] = [add(true), add(false), add(true, consoles)];
    const drain = makeDrain().run('wait-for-servers');
    expect(await state(drain)).toBe('waits');
    expect([idle.ended, busy.ended, console.ended, reception.isDraining]).toEqual(['57P01', undefined, '', true]);
    busy.isIdle = true;
    await drain;
    expect(busy.ended).toBe('57P01');
    expect(log.slice(0, 3)).toEqual(['wait-for-servers', 'leave shared', 'leave inherited']);
  });

  it('ends a console that runs a command when it has been answered: all workers may drain before that', async () => {
    const console = add(true, consoles);
    console.isAnswering = true;
    const drain = makeDrain().run('wait-for-servers');
    expect(await state(drain)).toBe('waits');
    expect(console.ended).toBeUndefined();
    console.isAnswering = false;
    await drain;
    expect(console.ended).toBe('');
  });

  it('cuts, counts and says what is left after shutdown_timeout', async () => {
    const busy = add(false);
    busy.inFlight.push('a statement');
    config = { ...config, shutdownTimeoutMs: 50 };
    await makeDrain().run('wait-for-servers');
    expect(busy.ended).toBeUndefined();
    expect(log.at(-1)).toMatch(/^shutdown_cut .*"clients":1,.*"statements":1/);
  });

  it('is over when everything is being stopped', async () => {
    add(false);
    const drain = makeDrain().run('wait-for-servers');
    isStopped = true;
    await drain;
  });
});

describe('wait-for-clients', () => {
  it('ends nobody, and does not wait for consoles, which hear that the last client has left', async () => {
    const [idle, console] = [add(true), add(true, consoles)];
    const drain = makeDrain().run('wait-for-clients');
    expect(await state(drain)).toBe('waits');
    expect([idle.ended, console.ended, reception.isDraining]).toEqual([undefined, undefined, true]);
    clients.delete(idle);
    await drain;
    expect(console.ended).toBe(lastClientLeft);
    // Sockets of systemd stay: clients are refused, because nobody knows when the next Weir comes.
    expect(log).not.toContain('leave inherited');
  });

  it('is joined by another, and made shorter by wait-for-servers, from which its time counts', async () => {
    config = { ...config, shutdownTimeoutMs: 100 };
    const [idle, busy] = [add(true), add(false)];
    const drain = makeDrain();
    const modes: DrainMode[] = ['wait-for-clients', 'wait-for-clients'];
    const all = Promise.all(modes.map((mode) => drain.run(mode))).then(() => undefined);
    await sleep(120);
    expect(await state(all)).toBe('waits');
    const shorter = drain.run('wait-for-servers');
    void drain.run('wait-for-clients');
    await until('the idle one to be ended', () => idle.ended === '57P01', { intervalMs: 1 });
    expect(await state(shorter)).toBe('waits');
    await all;
    expect(busy.ended).toBeUndefined();
    expect(log.filter((line) => line.startsWith('wait-'))).toEqual(['wait-for-clients', 'wait-for-servers']);
    expect(log).toContain('leave inherited');
    expect(log.at(-1)).toMatch(/^shutdown_cut/);
  });
});

describe('shutdown_as: pgbouncer', () => {
  it('closes the ports at once, and does not end idle clients; without servers, nothing is waited for', async () => {
    config = { ...config, shutdownAs: 'pgbouncer', shutdownTimeoutMs: 1 };
    const [idle, console] = [add(true), add(true, consoles)];
    await makeDrain().run('wait-for-servers');
    expect([idle.ended, console.ended]).toEqual([undefined, undefined]);
    expect(log.slice(0, 3)).toEqual(['wait-for-servers', 'leave own', 'leave inherited']);
    expect(log.join()).not.toContain('shutdown_cut');
    expect([sigtermMode(config), sigtermMode({})]).toEqual(['wait-for-clients', 'wait-for-servers']);
  });
});

describe('shutdown_delay', () => {
  it('is over before new clients are refused, and can be changed meanwhile', async () => {
    config = { ...config, shutdownDelayMs: 60_000 };
    const idle = add(true);
    const drain = makeDrain();
    const over = drain.run('wait-for-clients');
    void drain.run('wait-for-servers');
    expect(await state(over)).toBe('waits');
    expect([reception.isDraining, idle.ended]).toEqual([false, undefined]);
    expect(log.at(-1)).not.toMatch(/leave|no new clients/);
    config = { ...config, shutdownDelayMs: 10 };
    await over;
    expect([reception.isDraining, idle.ended]).toEqual([true, '57P01']);
  });

  it('ends with a stop', async () => {
    config = { ...config, shutdownDelayMs: 60_000 };
    const over = makeDrain().run('wait-for-servers');
    isStopped = true;
    await over;
    expect(reception.isDraining).toBe(false);
  });
});

describe('one of several workers', () => {
  it('stays until the others have no clients either, and only then tells consoles that the last one has left', async () => {
    const [client, console] = [add(true), add(true, consoles)];
    let [asked, done] = [0, (): void => undefined];
    const drain = makeDrain(() => {
      asked++;
      return new Promise((resolve) => (done = resolve));
    });
    const over = drain.run('wait-for-clients');
    expect([await state(over), asked]).toEqual(['waits', 0]);
    clients.delete(client);
    expect([await state(over), asked, console.ended]).toEqual(['waits', 1, undefined]);
    done();
    await over;
    expect(console.ended).toBe(lastClientLeft);
  });

  it('waits for them no longer than shutdown_timeout', async () => {
    config = { ...config, shutdownTimeoutMs: 50 };
    await makeDrain(() => new Promise(() => undefined)).run('wait-for-servers');
    expect(log.join()).not.toContain('shutdown_cut');
  });
});
