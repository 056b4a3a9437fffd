/** What somebody is told who has waited for query_wait_timeout: the reason that was true then, and what ends it. */
import { describe, expect, test } from 'vitest';
import { NodeBudget } from '../../src/pool/budget.ts';
import { Scene, settled, type Client } from './scene.ts';

const waitMs = 1_000;

function told({ refusal }: Client): string {
  const error = refusal?.error;
  return `${error?.sqlstate} ${error?.message} | ${error?.hint}`;
}

test('while a budget burns, those of low priority do not wait, except for the end of a pause', async () => {
  const scene = new Scene({ defaultPoolSize: 1, queryWaitTimeoutMs: waitMs });
  scene.wait('has it', { priority: 'low' });
  await scene.logIn();
  const [low, other] = [scene.wait('low', { priority: 'low' }), scene.wait('other')];
  scene.lowDoesNotWait = 'budget reads_p95 burns';
  scene.pool.pause();
  await scene.advance(100);
  expect(low.refusal).toBeUndefined();
  scene.pool.resume();
  await scene.advance(100);
  expect(told(low)).toMatch(
    /^53400 no server connection of shop\.app on db1.* was free, .*: budget reads_p95 burns \|/,
  );
  expect(other.refusal).toBeUndefined();
  expect(scene.served).toEqual(['has it']);
});

describe('query_wait_timeout says why', () => {
  test('all connections are busy', async () => {
    const scene = new Scene({ defaultPoolSize: 1, queryWaitTimeoutMs: waitMs });
    scene.wait('has it');
    await scene.logIn();
    const late = scene.wait('late');
    await scene.advance(waitMs);
    expect(told(late)).toMatch(
      /^53400 waited 1000 ms for a server connection of shop\.app on db1, .*: all 1 connections of the pool are busy \| .*SHOW POOLS.*max_pool_size/,
    );
  });

  test('the database is paused, whatever else was true before', async () => {
    const scene = new Scene({ defaultPoolSize: 1, queryWaitTimeoutMs: waitMs });
    const early = scene.wait('early');
    scene.logins[0]?.fail();
    await settled();
    scene.pool.pause();
    await scene.advance(waitMs);
    expect(told(early)).toMatch(/^53400 waited 1000 ms .*: database "shop" is paused .*\| .*RESUME/);
    expect(told(early)).not.toContain('busy');
    scene.pool.resume();
    scene.wait('has it');
    await scene.logIn();
    const held = scene.wait('behind one that is held');
    scene.pool.pause();
    await scene.advance(waitMs);
    expect(told(held)).toMatch(/is paused .*\| .*RESUME/);
  });

  test('the log-in to the server is still under way', async () => {
    const scene = new Scene({ queryWaitTimeoutMs: waitMs });
    const early = scene.wait('early');
    await scene.advance(waitMs);
    expect(told(early)).toMatch(/^53400 .*: the log-in to db1 is still under way \| .*SHOW NODES/);
  });

  test('a log-in fails while the others are busy', async () => {
    const scene = new Scene({ defaultPoolSize: 2, queryWaitTimeoutMs: waitMs });
    scene.wait('has it');
    await scene.logIn();
    const late = scene.wait('late');
    scene.logins[0]?.fail({ message: 'connection refused' });
    await settled();
    await scene.advance(waitMs);
    expect(told(late)).toMatch(
      /^53400 .*: 1 connections are busy, and no other can be opened \(.*connection refused\) \| /,
    );
  });

  test('a log-in fails and there is no connection: in the words of the server, as before', async () => {
    const scene = new Scene({ queryWaitTimeoutMs: waitMs });
    const early = scene.wait('early');
    scene.logins[0]?.fail({ message: 'sorry, too many clients already', sqlstate: '53300', isServerFull: true });
    await settled();
    await scene.advance(waitMs);
    expect(told(early)).toMatch(/^53300 .*too many clients/);
  });

  test.each([
    ['max_db_connections', (budget: NodeBudget) => (budget.limit = 1)],
    ['max_connections of the server', (_: NodeBudget, whole: NodeBudget) => (whole.limit = 1)],
  ])('no place is left: %s', async (what, fill) => {
    const whole = new NodeBudget();
    const budget = new NodeBudget(whole);
    fill(budget, whole);
    const other = new Scene({ queryWaitTimeoutMs: waitMs }, budget);
    other.wait('of another user');
    await other.logIn();
    const scene = new Scene({ queryWaitTimeoutMs: waitMs }, budget);
    const late = scene.wait('late');
    await scene.advance(waitMs);
    expect(told(late)).toMatch(/^53400 .*: no connection to db1 is left/);
    expect(told(late)).toContain(what);
    expect(told(late)).not.toContain('busy');
  });

  test('connections are being made ready, or replaced', async () => {
    const scene = new Scene({ defaultPoolSize: 1, queryWaitTimeoutMs: waitMs });
    scene.onReset.mode = 'silence';
    const first = scene.wait('first');
    await scene.logIn();
    scene.giveBack(first, true);
    const late = scene.wait('late');
    await scene.advance(waitMs);
    expect(told(late)).toMatch(
      /^53400 .*: all 1 connections of the pool are busy \(1 of them being made ready for the next client\)/,
    );
  });
});
