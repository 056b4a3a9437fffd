/** The concerns of a session are told of what happens in the order of their table, and only those that have something to do. */
import { expect, test } from 'vitest';
import { planWithoutCatalog } from '../../src/binding/make-plan.ts';
import type { Plan } from '../../src/binding/plan.ts';
import { TxStatus } from '../../src/protocol/codes.ts';
import type { ServerConnection } from '../../src/backend/server.ts';
import { makeConcerns, Moments, type SessionOfConcerns } from '../../src/session/concerns/table.ts';
import { Request } from '../../src/session/request.ts';
import { createClassifier } from '../../src/sql/classifier.ts';

const server = {} as ServerConnection;

function concernsOf(): ReturnType<typeof makeConcerns> {
  const session = { services: { cache: { newFreshness: () => ({}) } } } as unknown as SessionOfConcerns;
  return makeConcerns(session);
}

/** What is told of `moment`: instead of doing something in it, each concern says its name, which is also the SQL it wants run. */
function told(moment: string, tell: (moments: Moments) => unknown): { names: string[]; answer: unknown } {
  const concerns = concernsOf();
  const names: string[] = [];
  for (const [name, concern] of Object.entries(concerns)) {
    if (moment in concern) Object.assign(concern, { [moment]: () => (names.push(name), name) });
  }
  return { names, answer: tell(new Moments(concerns)) };
}

test('a server is told of sequences, settings, the open transaction and custom settings, in this order', () => {
  const { answer } = told('prepareServer', (moments) => moments.prepareServer(server, new Request()));
  expect(answer).toEqual(['sequences', 'settings', 'opening', 'customSettings']);
});

test('at ReadyForQuery what was written comes before how fresh the next read must be', () => {
  const { names } = told('readyForQuery', (moments) => moments.readyForQuery(new Request(), TxStatus.Idle));
  expect(names.indexOf('writes')).toBeLessThan(names.indexOf('freshness'));
  // Moments.readyForQuery names each concern: one that is missing there has to be added.
  const concerns = concernsOf();
  expect(names).toEqual(
    Object.keys(concerns).filter((name) => 'readyForQuery' in concerns[name as keyof typeof concerns]),
  );
  expect(names.length).toBeGreaterThan(8);
});

test('after a text was executed, or a part of it, the pins come before what is done until the catalog is read', () => {
  const plan = {} as Plan;
  for (const moment of ['effectsDone', 'effectsInPart'] as const) {
    const { names } = told(moment, (moments) => moments[moment](plan));
    expect(names.indexOf('pins')).toBeGreaterThanOrEqual(0);
    expect(names.indexOf('afterDdl')).toBeGreaterThan(names.indexOf('pins'));
  }
});

test('a concern that has nothing to do in a moment is not asked', () => {
  expect(told('beforeCommit', (moments) => moments.beforeCommit(new Request())).names).toEqual(['writes']);
  expect(told('clientLeft', (moments) => moments.clientLeft(server)).names).toEqual(['sequences']);
});

test('before the first catalog is read, a statement closes everything in all databases', async () => {
  const classifier = await createClassifier();
  const closed: unknown[][] = [];
  const cache = { newFreshness: () => ({}), close: (...what: unknown[]) => void closed.push(what) };
  const database = { tagPrefix: () => undefined, topology: { catalog: () => undefined } };
  const server = { sessionState: {} };
  const session = { services: { cache }, database, server, status: TxStatus.Idle, inFlight: { length: 0 } };
  const { writes } = Object.assign(session, {
    concerns: makeConcerns(session as unknown as SessionOfConcerns),
  }).concerns;
  const write = (sql: string): void => {
    const request = new Request();
    request.isComplete = true;
    request.form.executions = 1;
    request.addPlan(planWithoutCatalog(classifier.classify(Buffer.from(sql)).facts));
    writes.beforeSend(request);
    writes.guard(request);
  };
  write('UPDATE board SET n = 1');
  // Without its database, nobody could ask the server what became of it.
  expect(closed.pop()).toEqual([[], true, '', {}, undefined]);
  write('CREATE TABLE other ()');
  expect(closed.pop()).toEqual([['cat'], true, '', {}, undefined]);
});
