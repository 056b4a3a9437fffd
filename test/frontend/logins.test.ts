/** Who gives way when too many log in at the same time: the oldest of the address that has most of them. */
import { expect, it } from 'vitest';
import { Logins } from '../../src/frontend/logins.ts';

function crowd(limit: number): { logins: Logins; enter(address: string): () => void; left: string[] } {
  const logins = new Logins(() => limit);
  const left: string[] = [];
  let number = 0;
  return {
    logins,
    left,
    enter(address) {
      const name = `${address}#${++number}`;
      const place = logins.enter(address, () => left.push(name));
      return () => place.leave();
    },
  };
}

it('nobody does below the limit', () => {
  const { logins, enter, left } = crowd(3);
  const leave = enter('a');
  enter('b');
  enter('c');
  leave();
  leave();
  enter('d');
  expect([logins.size, left]).toEqual([3, []]);
});

it('one address does not lock out another', () => {
  const { logins, enter, left } = crowd(10);
  for (let i = 0; i < 100; i++) enter('attacker');
  expect(left.length).toBe(90);
  for (let i = 0; i < 5; i++) enter('app');
  expect(left.filter((name) => name.startsWith('app'))).toEqual([]);
  for (let i = 0; i < 100; i++) enter('attacker');
  expect(left.filter((name) => name.startsWith('app'))).toEqual([]);
  expect(logins.size).toBe(10);
});

it('with as many addresses as places, whoever comes last does', () => {
  const { logins, enter, left } = crowd(3);
  for (const address of ['a', 'b', 'c', 'd']) enter(address);
  expect([logins.size, left]).toEqual([3, ['d#4']]);
});

it('a lower limit counts from the next one on', () => {
  let limit = 5;
  const logins = new Logins(() => limit);
  let left = 0;
  for (let i = 0; i < 5; i++) logins.enter('a', () => left++);
  limit = 2;
  logins.enter('a', () => left++);
  expect([logins.size, left]).toEqual([2, 4]);
});
