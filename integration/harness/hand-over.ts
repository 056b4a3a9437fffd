/**
 * Moves clients from one Weir to another, both in the test's own process, over Node's IPC: each socket and packed session goes
 * to a child process and back.
 */
import { fork, type ChildProcess } from 'node:child_process';
import type { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import type { WeirInProcess } from './in-process.ts';

const program = fileURLToPath(new URL('../programs/socket-relay.mjs', import.meta.url));

export interface Moved {
  readonly moved: number;
  /** What the others waited for. */
  readonly waitedFor: readonly string[];
}

export class Mover {
  private readonly child: ChildProcess;
  private readonly waiting = new Map<number, (socket: Socket, packed: unknown) => void>();
  private lastId = 0;

  constructor() {
    this.child = fork(program, { serialization: 'advanced', execArgv: [] });
    this.child.on('message', (message, socket) => {
      const { id, packed, ahead } = message as unknown as { id: number; packed: unknown; ahead: Buffer | null };
      // Before what this process reads.
      if (ahead !== null) (socket as Socket).unshift(ahead);
      this.waiting.get(id)?.(socket as Socket, packed);
      this.waiting.delete(id);
    });
  }

  /** Gives every client that comes to rest in time to the other Weir. */
  async move(from: WeirInProcess, to: WeirInProcess, patienceMs: number): Promise<Moved> {
    let moved = 0;
    const waitedFor: string[] = [];
    await Promise.all(
      from.app.handOvers.clients().map(async (id) => {
        const leaving = from.app.handOvers.begin(id);
        if (typeof leaving === 'string') return void waitedFor.push(leaving);
        const timer = setTimeout(() => {
          waitedFor.push(leaving.waitsFor ?? 'nothing');
          leaving.cancel();
        }, patienceMs);
        const given = await leaving.done;
        clearTimeout(timer);
        if (given === undefined) return;
        const [socket, packed] = await this.send(given.socket, given.packed);
        await to.app.handOvers.receive(packed, socket);
        moved++;
      }),
    );
    return { moved, waitedFor };
  }

  private send(socket: Socket, packed: unknown): Promise<readonly [Socket, unknown]> {
    const id = ++this.lastId;
    return new Promise((resolve) => {
      this.waiting.set(id, (back, unpacked) => resolve([back, unpacked]));
      this.child.send({ id, packed } as never, socket);
    });
  }

  close(): void {
    this.child.disconnect();
  }
}
