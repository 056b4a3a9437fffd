/**
 * The monitor leaves a standby that was the primary when its name leads elsewhere. Fails if it stays there for ever, or if it leaves a
 * server for a name that still leads to it, that cannot be looked up, or that was never the primary's.
 */
import { expect, test } from 'vitest';
import { NameOfPrimary } from '../../src/topology/name-of-primary.ts';

const primary = { isInRecovery: false, lsn: 0, timeline: undefined };
const standby = { isInRecovery: true, lsn: 0, timeline: undefined };

function named(answers: (readonly string[] | Error)[], host = 'shop.example.com') {
  const asked: string[] = [];
  const name = new NameOfPrimary((what) => {
    asked.push(what);
    const answer = answers.shift() ?? [];
    return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
  });
  let nowMs = 0;
  const probe = async (sample: typeof primary, address?: string): Promise<string | undefined> => {
    const problem = name.problem(host, address, sample, (nowMs += 1_000));
    await new Promise(setImmediate);
    return problem;
  };
  return { asked, probe };
}

test('it looks every two seconds, and leaves when the name leads elsewhere', async () => {
  const { asked, probe } = named([['10.0.0.1'], new Error('SERVFAIL'), ['10.0.0.2', '10.0.0.3']]);
  expect(await probe(primary, '10.0.0.1')).toBeUndefined();
  const problems = [];
  for (let count = 0; count < 6; count++) problems.push(await probe(standby, '10.0.0.1'));
  expect(problems).toEqual([
    ...Array<undefined>(5).fill(undefined),
    'is a standby now, and its name leads to 10.0.0.2, 10.0.0.3 instead of 10.0.0.1',
  ]);
  expect(asked).toEqual(['shop.example.com', 'shop.example.com', 'shop.example.com']);
  // Connected there, all is well again; what was found before does not count.
  expect(await probe(primary, '10.0.0.2')).toBeUndefined();
  expect(await probe(standby, '10.0.0.2')).toBeUndefined();
});

test.each([
  ['a name that never was that of a primary', 'db2.example.com', standby, '10.0.0.1'],
  ['an address', '10.0.0.1', primary, '10.0.0.1'],
  ['a Unix socket', '/run/postgresql', primary, undefined],
  ['a connection of which the address is not known', 'db1.example.com', primary, undefined],
])('%s is not looked up', async (_what, host, first, address) => {
  const { asked, probe } = named([['10.9.9.9'], ['10.9.9.9']], host);
  await probe(first, address);
  for (let count = 0; count < 6; count++) expect(await probe(standby, address)).toBeUndefined();
  expect(asked).toEqual([]);
});
