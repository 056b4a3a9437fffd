/** Numbers and secrets of clients, and who may cancel whom. */
import { describe, expect, it } from 'vitest';
import { Clients } from '../../src/app/clients.ts';
import type { ClientSession } from '../../src/request/client.ts';

function seated(minor: number) {
  const clients = new Clients();
  const key = clients.register(minor);
  let cancels = 0;
  const session = {
    cancel(done: () => void) {
      cancels++;
      done();
    },
  };
  clients.seat(key.id, { session: session as ClientSession });
  let answered = 0;
  const cancel = (id: number, secret: Buffer): void => {
    if (!clients.cancel(id, secret, () => answered++)) answered++;
  };
  return { clients, key, cancel, seen: () => ({ cancels, answered }) };
}

describe('numbers', () => {
  it('are none that a process can have, fit into a positive int32, and are not given twice, around the end too', () => {
    const clients = new Clients(2 ** 31 - 3);
    const ids = Array.from({ length: 5 }, () => clients.register(0).id);
    expect(ids).toEqual([2 ** 31 - 2, 2 ** 31 - 1, 2 ** 22 + 1, 2 ** 22 + 2, 2 ** 22 + 3]);
  });

  it('are of one row with those of server connections', () => {
    const clients = new Clients(2 ** 22 + 7);
    const [first, server, second] = [clients.register(0).id, clients.nextNumber(), clients.register(0).id];
    expect([server, second]).toEqual([first + 1, first + 2]);
    const ofWorker = new Clients(2 ** 23, { every: 3, from: 1 });
    expect([ofWorker.nextNumber() % 3, ofWorker.nextNumber() % 3]).toEqual(
      [1, 1].map((n) => (2 ** 23 - (2 ** 23 % 3) + n) % 3),
    );
  });

  it('begin elsewhere in every Weir', () => {
    const firsts = Array.from({ length: 20 }, () => new Clients().register(0).id);
    expect(new Set(firsts).size).toBeGreaterThan(15);
  });
});

describe('cancel keys', () => {
  it.each([
    [0, 4],
    [1, 4],
    [2, 32],
  ])('3.%i: %i bytes', (minor, length) => {
    const { key, cancel, seen } = seated(minor);
    expect(key.secret).toHaveLength(length);
    cancel(key.id, key.secret);
    expect(seen()).toEqual({ cancels: 1, answered: 1 });
  });

  it('takes no other key, and answers each', () => {
    const { clients, key, cancel, seen } = seated(2);
    for (let bit = 0; bit < 8 * key.secret.length; bit++) {
      const wrong = Buffer.from(key.secret);
      wrong[bit >> 3] = (wrong[bit >> 3] as number) ^ (1 << (bit & 7));
      cancel(key.id, wrong);
    }
    for (let length = 0; length < 32; length++) cancel(key.id, key.secret.subarray(0, length));
    cancel(key.id, Buffer.concat([key.secret, key.secret]));
    cancel(key.id + 1, key.secret);
    clients.leave(key);
    cancel(key.id, key.secret);
    expect(seen()).toEqual({ cancels: 0, answered: 256 + 32 + 3 });
  });
});
