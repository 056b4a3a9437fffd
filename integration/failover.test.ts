/**
 * Nodes die, freeze, come back and are promoted under real clients: no read fails for a dead replica, a promoted replica
 * is found without a restart, and whoever was waiting meanwhile only waited. Breaks clusters of its own.
 */
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import {
  closeClients,
  connectBeside,
  connectPg,
  connectPostgresJs,
  lastRoute,
  startCluster,
  startTestWeir,
  until,
} from './harness/index.ts';
import { users, weirConfig } from './harness/index.ts';
import type { Cluster, PgNode, TestWeir, WeirConfig } from './harness/index.ts';

/** Asks until a replica (or the named one) has answered. */
function onReplica(client: pg.Client, sql: string, replica = 'replica'): Promise<boolean> {
  return until(`an answer from ${replica}`, async () => {
    await client.query(sql);
    return (await lastRoute(client)).startsWith(replica);
  });
}

/** The first sample of that name whose line contains `label`. */
async function metric(weir: TestWeir, name: string, label = ''): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${weir.httpPort}/metrics`)).text();
  const line = text.split('\n').find((each) => each.startsWith(name) && each.includes(label));
  return Number(line?.slice(line.lastIndexOf(' ') + 1));
}

function nodeOf(cluster: Cluster, name: string): PgNode {
  const node = cluster.nodes.find((each) => each.name === name);
  if (node === undefined) throw new Error(`no node ${name}`);
  return node;
}

/** Many clients that read without a pause and count what fails. */
class Readers {
  readonly errors: unknown[] = [];
  readonly bad: unknown[] = [];
  answers = 0;
  #isOver = false;
  readonly #loops: Promise<void>[] = [];

  constructor(asks: readonly (() => Promise<unknown>)[]) {
    for (const ask of asks) this.#loops.push(this.#loop(ask));
  }

  async #loop(ask: () => Promise<unknown>): Promise<void> {
    while (!this.#isOver) {
      try {
        await ask();
        this.answers++;
      } catch (error) {
        this.errors.push(error);
        if (this.errors.length > 20) return;
      }
    }
  }

  /** Waits until so many more have been answered. */
  more(count: number): Promise<unknown> {
    const wanted = this.answers + count;
    return until(`${count} more answers`, () => this.answers >= wanted || this.errors.length > 20);
  }

  async end(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#loops);
  }
}

afterEach(closeClients);

describe('with two replicas', () => {
  let cluster: Cluster;
  let weir: TestWeir;

  beforeAll(async () => {
    cluster = await startCluster();
    const more: WeirConfig = { routing: { read_only_functions: ['public.visit'] } };
    await cluster.query(`
      CREATE TABLE items (id int PRIMARY KEY, name text);
      INSERT INTO items SELECT i, 'item ' || i FROM generate_series(1, 2000) AS i;
      CREATE TABLE visits (who text);
      CREATE FUNCTION visit(who text) RETURNS bigint LANGUAGE sql VOLATILE AS
        'INSERT INTO visits VALUES (who); SELECT count(*) FROM visits';
      CREATE FUNCTION note(who text) RETURNS void LANGUAGE sql VOLATILE AS 'INSERT INTO visits VALUES (who)';
      CREATE FUNCTION sneaky(who text) RETURNS int LANGUAGE plpgsql STABLE AS 'BEGIN PERFORM note(who); RETURN 1; END';
      GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC;`);
    await cluster.waitForReplicas();
    weir = await startTestWeir(weirConfig(cluster, {}, more));
  });
  afterAll(async () => {
    await weir.stop();
    await cluster.stop();
  });

  const connect = (): Promise<pg.Client> => connectPg(weir.url());

  describe('a statement taken for a read that a replica refuses (25006)', () => {
    const visits = async (): Promise<number> =>
      (await cluster.query<{ n: number }>('SELECT count(*)::int AS n FROM visits'))[0]!.n;

    test('runs once more on the primary, once only, and is known from then on', async () => {
      const client = await connect();
      await onReplica(client, 'SELECT count(*) FROM visits');
      const before = { visits: await visits(), misroutes: await metric(weir, 'weir_misroutes_total') };
      const { rows } = await client.query("SELECT visit('simple') AS n");
      expect(rows).toEqual([{ n: String(before.visits + 1) }]);
      expect(await lastRoute(client)).toMatch(/^primary; .*25006/);
      expect(await metric(weir, 'weir_misroutes_total')).toBe(before.misroutes + 1);

      // Each worker learns for itself.
      const other = await connectBeside(client, connect);
      await onReplica(other, 'SELECT count(*) FROM visits');
      await other.query("SELECT visit('again') AS n");
      expect(await lastRoute(other)).toMatch(/^primary; /);
      expect(await metric(weir, 'weir_misroutes_total')).toBe(before.misroutes + 1);
      expect(await visits()).toBe(before.visits + 2);
    });

    test('prepared, with parameters, by a function that says STABLE and writes', async () => {
      const client = await connect();
      const before = await visits();
      await onReplica(client, 'SELECT 1');
      for (let i = 1; i <= 3; i++) {
        const text = 'SELECT sneaky($1) AS one';
        expect((await client.query({ name: 'sneak', text, values: ['prepared'] })).rows).toEqual([{ one: 1 }]);
        expect(await visits()).toBe(before + i);
      }
    });

    test('by postgres.js, in the middle of a pipeline', async () => {
      const sql = connectPostgresJs(weir.url());
      const before = await visits();
      await until('a replica to answer', async () => {
        await sql`SELECT 1`;
        const [row] = await sql`SHOW weir.last_route`.simple();
        return String(Object.values(row!)[0]).startsWith('replica');
      });
      const answers = await Promise.all([
        sql`SELECT 1 AS n`,
        sql`SELECT sneaky('pipelined')::int AS n`,
        sql`SELECT 2 AS n`,
        sql`SELECT sneaky('pipelined too') + 2 AS n`,
        sql`SELECT 4 AS n`,
      ]);
      expect(answers.map(([row]) => row!['n'])).toEqual([1, 1, 2, 3, 4]);
      expect(await visits()).toBe(before + 2);
    });
  });

  describe('a dead replica costs no failed read', () => {
    async function readers(): Promise<Readers> {
      const asks: (() => Promise<unknown>)[] = [];
      for (let i = 0; i < 12; i++) {
        const client = await connect();
        const simple = (): Promise<unknown> => client.query('SELECT count(*) FROM items WHERE id > 1000');
        const prepared = (): Promise<unknown> =>
          client.query({ name: 'q', text: 'SELECT name FROM items WHERE id = $1', values: [i] });
        const slow = (): Promise<unknown> => client.query('SELECT pg_sleep(0.02), count(*) FROM items');
        asks.push([simple, prepared, slow][i % 3]!);
      }
      for (let i = 0; i < 3; i++) {
        const sql = connectPostgresJs(weir.url());
        asks.push(() => Promise.all(Array.from({ length: 20 }, () => sql`SELECT name FROM items WHERE id = 7`)));
      }
      return new Readers(asks);
    }

    test.each(['kill -9', 'stopped fast'])('%s, and used again when it is back', async (how) => {
      const reading = await readers();
      const victim = nodeOf(cluster, 'replica1');
      await reading.more(500);
      if (how === 'kill -9') await cluster.kill(victim);
      else await cluster.stopNode(victim, 'fast');
      await reading.more(1000);
      await cluster.start(victim);
      await onReplica(await connect(), 'SELECT count(*) FROM items', 'replica1');
      await reading.more(500);
      await reading.end();
      expect(reading.errors).toEqual([]);
    });

    test('frozen: what hangs on it is answered by others', async () => {
      const reading = await readers();
      const victim = nodeOf(cluster, 'replica2');
      await reading.more(500);
      victim.freeze();
      try {
        await until('it to be given up', async () => (await metric(weir, 'weir_node_up', '"replica2"')) === 0);
        await reading.more(1000);
        // Nobody waits for the frozen one any more: every reader gets an answer.
        await reading.end();
        expect(reading.errors).toEqual([]);
      } finally {
        victim.thaw();
      }
      await onReplica(await connect(), 'SELECT count(*) FROM items', 'replica2');
    });

    test('both gone: the primary answers', async () => {
      const reading = await readers();
      await reading.more(500);
      await Promise.all([cluster.kill(nodeOf(cluster, 'replica1')), cluster.kill(nodeOf(cluster, 'replica2'))]);
      await reading.more(1000);
      await reading.end();
      expect(reading.errors).toEqual([]);
      await Promise.all([cluster.start(nodeOf(cluster, 'replica1')), cluster.start(nodeOf(cluster, 'replica2'))]);
      await onReplica(await connect(), 'SELECT count(*) FROM items');
    });
  });
});

describe('when the primary goes', () => {
  let cluster: Cluster;
  let weir: TestWeir;
  /** Wrote on the first timeline and has done nothing since. */
  let veteran: pg.Client;

  beforeAll(async () => {
    cluster = await startCluster();
    await cluster.query(`
      CREATE TABLE log (who int, n int);
      CREATE TABLE quiet AS SELECT 1 AS one;
      GRANT ALL ON log, quiet TO PUBLIC;`);
    await cluster.waitForReplicas();
    // A member of pg_monitor sees at once which timeline a replica follows.
    weir = await startTestWeir(weirConfig(cluster, { serverUser: users.monitor }));
  });
  afterAll(async () => {
    await veteran.end();
    await weir.stop();
    await cluster.stop();
  });

  const connect = (): Promise<pg.Client> => connectPg(weir.url());

  /** One client that writes 1, 2, 3 ... and notes what became of each. */
  async function writer(who: number): Promise<{ ask: () => Promise<void>; acked: number[]; errors: unknown[] }> {
    const client = await connect();
    const [acked, errors] = [[] as number[], [] as unknown[]];
    let n = 0;
    const ask = async (): Promise<void> => {
      n++;
      try {
        await client.query('INSERT INTO log VALUES ($1, $2)', [who, n]);
        acked.push(n);
      } catch (error) {
        errors.push(error);
        if (errors.length > 3) throw error;
      }
    };
    return { ask, acked, errors };
  }

  test('killed: readers notice nothing, writers lose at most what was in flight, then all goes on', async () => {
    const writers = await Promise.all([1, 2, 3, 4].map(writer));
    const reads = await Promise.all([1, 2, 3, 4].map(connect));
    const session = await connect();
    const open = await connect();
    veteran = new pg.Client({ connectionString: weir.url() });
    await veteran.connect();
    await veteran.query('INSERT INTO log VALUES (9, 1)');
    await session.query('INSERT INTO log VALUES (0, 0)');
    await open.query('BEGIN');
    await open.query('INSERT INTO log VALUES (0, 1)');
    for (const client of reads) await onReplica(client, 'SELECT one FROM quiet');
    const reading = new Readers(reads.map((client) => () => client.query('SELECT one FROM quiet')));
    const writing = new Readers(writers.map(({ ask }) => ask));
    await Promise.all([reading.more(200), writing.more(200)]);

    await cluster.waitForReplicas();
    await cluster.kill(nodeOf(cluster, 'primary'));
    await reading.more(200);
    const waiting = session.query('INSERT INTO log VALUES (0, 2) RETURNING n');
    await until('the primary to be missed', async () => (await metric(weir, 'weir_node_up', '"primary"')) === 0);
    await cluster.promote(nodeOf(cluster, 'replica1'));
    expect((await waiting).rows).toEqual([{ n: 2 }]);
    await Promise.all([reading.more(200), writing.more(200)]);
    await Promise.all([reading.end(), writing.end()]);

    expect(reading.errors).toEqual([]);
    for (const { errors } of writers) {
      expect(errors.length).toBeLessThanOrEqual(1);
      // A process whose postmaster is gone says so, if it comes to that before it is gone itself.
      for (const error of errors) expect(['08006', '57P01']).toContain((error as pg.DatabaseError).code);
    }
    await expect(open.query('COMMIT')).rejects.toThrow();
    const rows = await cluster.query<{ who: number; n: number }>('SELECT who, max(n)::int AS n FROM log GROUP BY who');
    for (const [i, { acked }] of writers.entries()) expect(rows.find(({ who }) => who === i + 1)?.n).toBe(acked.at(-1));
  });

  test('a session from before the failover reads from replicas again, and sees its writes', async () => {
    await onReplica(veteran, 'SELECT n FROM log WHERE who = 9', 'replica2');
    expect((await veteran.query('SELECT n FROM log WHERE who = 9')).rows).toEqual([{ n: 1 }]);
  });

  test('deposed but alive: what is open there is cut off, nothing new goes there', async () => {
    const open = await connect();
    // The other workers hear of it a moment later.
    const other = await connectBeside(open, connect);
    await open.query('BEGIN');
    await open.query('INSERT INTO log VALUES (7, 1)');
    await cluster.promote(nodeOf(cluster, 'replica2'));
    await until('the open transaction to be cut off', async () =>
      open.query('SELECT 1').then(
        () => false,
        () => true,
      ),
    );
    await other.query('INSERT INTO log VALUES (7, 2)');
    expect(await lastRoute(other)).toMatch(/^replica2; /);
    const stored = await cluster.query<{ n: number }>('SELECT n FROM log WHERE who = 7', {
      node: nodeOf(cluster, 'replica2'),
    });
    expect(stored).toEqual([{ n: 2 }]);
  });
});
