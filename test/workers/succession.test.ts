/**
 * A supervisor and the next one, between whom workers change: both sides with the parent process between them, in memory. Fails
 * when something that a worker says is lost, comes twice or out of order, when an answer goes astray, when a client is lost that was
 * given to a worker which had died, or when the old one does not go on after the new one has refused or died.
 */
import { Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Channel, type Topics } from '../../src/workers/channel.ts';
import { ChildOfParent } from '../../src/workers/child-of-parent.ts';
import { ipcWire } from '../../src/workers/ipc.ts';
import { Parent } from '../../src/workers/parent.ts';
import type { RelayedWorker } from '../../src/workers/relayed-worker.ts';
import { Succession, type HandOver } from '../../src/workers/succession.ts';
import type { SupervisorState } from '../../src/workers/succession-messages.ts';
import { Successor } from '../../src/workers/successor.ts';
import type { StartsSuccessor } from '../../src/workers/supervisor-ports.ts';
import type { WorkerBody } from '../../src/workers/worker-body.ts';
import type { WorkerPost } from '../../src/workers/worker-link.ts';
import { fakeProcess, type FakeProcess } from './fake-process.ts';

interface OfWorker extends Topics {
  readonly count: { readonly body: number; readonly reply: number };
}
interface OfSupervisor extends Topics {
  readonly twice: { readonly body: number; readonly reply: number };
}

const post: WorkerPost = {
  number: 1,
  workers: 1,
  generation: 0,
  listen: { host: '127.0.0.1', port: 1 },
  fixed: {},
  socketPath: undefined,
  http: undefined,
};
const settled = async (): Promise<void> => {
  for (let i = 0; i < 20; i++) await new Promise(setImmediate);
};
const bugs: unknown[] = [];
const unexpected = (error: unknown): void => void bugs.push(error);

/** A process that could be the next supervisor. */
class Next {
  readonly process: FakeProcess;
  readonly child: ChildOfParent;
  readonly workers: { readonly process: FakeProcess; readonly channel: Channel<OfSupervisor, OfWorker> }[] = [];
  readonly heard: number[] = [];
  readonly signals: string[] = [];
  readonly successor: Successor;
  channel: Channel<OfWorker, OfSupervisor> | undefined;
  refusal: Error | undefined;
  isEnded = false;

  constructor(pid: number) {
    this.process = fakeProcess(pid);
    this.child = new ChildOfParent(this.process.process);
    this.child.onSignal((signal) => this.signals.push(signal));
    // When its parent is gone, or it is killed, its workers end, too.
    this.process.process.on('disconnect', () => this.workers.forEach(({ process }) => process.exit(1)));
    this.successor = new Successor({
      predecessor: this.child.predecessor,
      fork: () => {
        // No such process: it counts as gone at once when its supervisor is.
        const process = fakeProcess(4_000_000 + this.workers.length);
        const channel = new Channel<OfSupervisor, OfWorker>(ipcWire(process.process), unexpected);
        channel.on('twice', (n) => 2 * n);
        this.workers.push({ process, channel });
        return process.child;
      },
      takeOver: (state, workers) => this.takeOver(state, workers),
      accepted: () => undefined,
      moved: () => undefined,
      shutDown: (mode) => void this.signals.push(mode),
      tookOver: () => undefined,
      end: () => {
        this.isEnded = true;
        this.process.exit(0);
      },
      unexpected: () => undefined,
    });
  }

  private async takeOver(state: SupervisorState, workers: ReadonlyMap<number, RelayedWorker>): Promise<void> {
    await settled();
    if (this.refusal !== undefined) throw this.refusal;
    const [known] = state.workers;
    if (known === undefined) return;
    const body = workers.get(known.worker)!;
    body.leaveStderr();
    this.channel = new Channel(body.wire, unexpected, known.since.lastQuestion);
    this.channel.on('count', (n) => this.heard.push(n) && -n);
  }
}

/** The supervisor that works, as far as it matters here. */
class Now {
  readonly heard: number[] = [];
  readonly exits: string[] = [];
  readonly succession: Succession;
  body: WorkerBody | undefined;
  channel: Channel<OfWorker, OfSupervisor> | undefined;
  /** An answer that is not given yet. */
  slow: Promise<void> | undefined;

  /** How often the next one did not take over. */
  wentOn = 0;

  constructor(parent: StartsSuccessor) {
    this.succession = new Succession({ parent, fixed: {}, listeners: () => [], goesOn: () => this.wentOn++ });
  }

  async fork(): Promise<void> {
    const body = this.succession.fork(post)!;
    this.body = body;
    this.channel = new Channel(body.wire, unexpected);
    this.channel.on('count', async (n) => {
      this.heard.push(n);
      await this.slow;
      return n;
    });
    body.onExit(({ code, signal }) => this.exits.push(String(code ?? signal)));
    await settled();
  }

  readonly handOver: HandOver = {
    problem: () => undefined,
    isAtRest: () => this.channel?.unanswered === 0,
    isSettled: () => true,
    refuseUnanswered: () => this.channel?.refuseUnanswered(() => new Error('given up')),
    state: (numberOf) => {
      const worker = numberOf(this.body!);
      const lastQuestion = this.channel!.lastQuestion;
      return { workers: [{ worker, since: { lastQuestion } }] } as unknown as SupervisorState;
    },
  };
}

let parent: Parent;
let nexts: Next[];
let makeNext: (pid: number) => Next;
const said: string[] = [];

beforeEach(() => {
  bugs.length = said.length = 0;
  nexts = [];
  makeNext = (pid) => {
    const next = new Next(pid);
    next.successor.start([]);
    return next;
  };
  parent = new Parent({
    fork: () => {
      const next = makeNext(5_000_000 + nexts.length);
      nexts.push(next);
      return next.process.child;
    },
    says: (chunk) => void said.push(chunk.toString()),
  });
});
afterEach(() => {
  for (const { process } of nexts) process.exit(0);
  expect(bugs).toEqual([]);
});

async function prepared(starts: StartsSuccessor = parent): Promise<{ now: Now; next: Next }> {
  const now = new Now(starts);
  await now.succession.prepare();
  await now.fork();
  return { now, next: nexts.at(-1)! };
}

/** Counts up until told; every answer must be the number, or its negative after the switch. */
function counting(next: Next): { stop(): Promise<number> } {
  let isOver = false;
  const answers: Promise<void>[] = [];
  const done = (async (): Promise<number> => {
    let n = 0;
    while (!isOver) {
      const said = ++n;
      answers.push(next.workers[0]!.channel.ask('count', said).then((answer) => expect(Math.abs(answer)).toBe(said)));
      await new Promise(setImmediate);
    }
    await Promise.all(answers);
    return n;
  })();
  return {
    stop: () => {
      isOver = true;
      return done;
    },
  };
}

const upTo = (n: number): number[] => Array.from({ length: n }, (_, index) => index + 1);

describe('a worker of the next supervisor', () => {
  test('speaks with the present one: questions both ways, its process, its last words', async () => {
    const { now, next } = await prepared();
    expect(now.body!.pid).toBe(4_000_000);
    expect(await next.workers[0]!.channel.ask('count', 7)).toBe(7);
    expect(await now.channel!.ask('twice', 4)).toBe(8);
    next.workers[0]!.process.says('oh no');
    next.workers[0]!.process.exit(3);
    await settled();
    expect(now.exits).toEqual(['3']);
    expect(String(now.body!.stderr?.read())).toBe('oh no');
    expect(now.channel!.isClosed).toBe(true);
  });

  test('is gone when the next supervisor dies; another worker is started here', async () => {
    const { now, next } = await prepared();
    const lost = expect(now.channel!.ask('twice', 1)).rejects.toThrow();
    next.process.exit(null);
    await lost;
    await expect.poll(() => now.exits, { timeout: 60_000 }).toEqual(['SIGKILL']);
    expect(now.succession.fork(post)).toBeUndefined();
    await expect(now.succession.handOver(now.handOver)).rejects.toThrow('the new supervisor has ended');
  });
});

describe('clients on their way to a worker of the next supervisor', () => {
  const noBytes = Buffer.alloc(0);

  /** @returns what has come back */
  function comingBack(now: Now): string[] {
    const back: string[] = [];
    now.body!.wire.onMoved((_socket, { packed }) => back.push(String(packed)));
    now.body!.wire.onReturned((_socket, { entry }) => back.push(entry));
    return back;
  }

  function send(now: Now): boolean[] {
    const { wire } = now.body!;
    return [
      wire.sendSocket('plain', new Socket(), noBytes),
      wire.sendMoved(new Socket(), { packed: 'session', ahead: noBytes }),
    ];
  }

  test('come back when it dies before Node has sent them', async () => {
    const { now, next } = await prepared();
    const back = comingBack(now);
    expect(send(now)).toEqual([true, true]);
    await settled();
    expect(back).toEqual([]);
    next.workers[0]!.process.exit(null);
    await settled();
    expect(now.exits).toEqual(['SIGKILL']);
    expect(back).toEqual(['plain', 'session']);
  });

  test('come back when it has died, and the present supervisor did not know', async () => {
    const { now, next } = await prepared();
    const back = comingBack(now);
    next.workers[0]!.process.exit(null);
    expect(send(now)).toEqual([true, true]);
    await settled();
    expect(back).toEqual(['plain', 'session']);
  });

  test('come back when the next supervisor has forgotten it, and the present one has not heard that yet', async () => {
    const { now, next } = await prepared();
    const back = comingBack(now);
    next.workers[0]!.process.exit(null);
    // It has exited, which is said on the way through the parent.
    await new Promise(setImmediate);
    expect(now.exits).toEqual([]);
    expect(send(now)).toEqual([true, true]);
    await settled();
    expect(now.exits).toEqual(['SIGKILL']);
    expect(back).toEqual(['plain', 'session']);
  });
});

describe('when it takes over', () => {
  test('everything that the worker says is heard once, by the one or by the other, in order, and answered', async () => {
    const { now, next } = await prepared();
    const counter = counting(next);
    await settled();
    await now.succession.handOver(now.handOver);
    await settled();
    const n = await counter.stop();
    expect([...now.heard, ...next.heard]).toEqual(upTo(n));
    expect(now.heard.length).toBeGreaterThan(3);
    expect(next.heard.length).toBeGreaterThan(3);
    expect(await next.channel!.ask('twice', 5)).toBe(10);
    parent.pass('SIGHUP');
    await settled();
    expect(next.signals).toEqual(['SIGHUP']);
  });

  test('an answer to a question of the one before is not taken for one of its own', async () => {
    const { now, next } = await prepared();
    let answer: (n: number) => void = () => undefined;
    next.workers[0]!.channel.on('twice', (n) => (n === 1 ? new Promise((resolve) => (answer = resolve)) : 2 * n));
    void now.channel!.ask('twice', 1).catch(() => undefined);
    await settled();
    await now.succession.handOver(now.handOver);
    const second = next.channel!.ask('twice', 2);
    answer(77);
    expect(await second).toBe(4);
  });

  test('a question that waits is waited for, then given up', async () => {
    const { now, next } = await prepared();
    let go: () => void = () => undefined;
    now.slow = new Promise((resolve) => (go = resolve));
    const first = next.workers[0]!.channel.ask('count', 1);
    await settled();
    const over = now.succession.handOver(now.handOver);
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(next.channel).toBeUndefined();
    go();
    expect(await first).toBe(1);
    await over;
    expect(next.channel).toBeDefined();
  });

  test('and refuses: the one before goes on as if nothing had been', async () => {
    const { now, next } = await prepared();
    next.refusal = new Error('it cannot listen');
    const counter = counting(next);
    await settled();
    await expect(now.succession.handOver(now.handOver)).rejects.toThrow('it cannot listen');
    await settled();
    const n = await counter.stop();
    expect([now.heard, next.heard]).toEqual([upTo(n), []]);
    expect(now.wentOn).toBe(1);
    // Its worker lives: it stays as long as that.
    expect(next.isEnded).toBe(false);
    next.workers[0]!.process.exit(0);
    await settled();
    expect(next.isEnded).toBe(true);
  });

  test('and dies: the one before hears it', async () => {
    const { now, next } = await prepared();
    next.refusal = new Error('never said');
    const over = expect(now.succession.handOver(now.handOver)).rejects.toThrow('has ended (SIGKILL)');
    await new Promise(setImmediate);
    next.process.exit(null);
    await over;
    expect(now.wentOn).toBe(1);
    await expect.poll(() => now.exits, { timeout: 60_000 }).toEqual(['SIGKILL']);
  });

  test('the one after the next is started by the same parent, which carries all between the two', async () => {
    const { now, next } = await prepared();
    await now.succession.handOver(now.handOver);
    const { now: second, next: third } = await prepared(next.child);
    const counter = counting(third);
    await settled();
    await second.succession.handOver(second.handOver);
    await settled();
    const n = await counter.stop();
    expect([...second.heard, ...third.heard]).toEqual(upTo(n));
    next.process.exit(0);
    await settled();
    parent.pass('SIGTERM');
    await settled();
    expect(third.signals).toEqual(['SIGTERM']);
    third.process.exit(1);
    expect(await parent.ended).toEqual({ code: 1, signal: null });
  });
});

describe('it cannot be used', () => {
  test('if it ends: after three tries, with its last words', async () => {
    makeNext = (pid) => {
      const next = new Next(pid);
      next.process.says('Error: no such setting\n');
      next.process.exit(1);
      return next;
    };
    await expect(new Now(parent).succession.prepare()).rejects.toThrow(
      '3 times in a row, the new supervisor has ended (exit code 1): Error: no such setting',
    );
    expect(nexts).toHaveLength(3);
    expect(said.join('')).toContain('no such setting');
  });

  test('if it is of a version that does not understand this one', async () => {
    makeNext = (pid) => {
      const next = new Next(pid);
      next.child.predecessor.send({ did: 'start', format: 99 });
      return next;
    };
    await expect(new Now(parent).succession.prepare()).rejects.toThrow('cannot take over from this version (format 99');
  });
});
