/**
 * Every way in which a write can commit or not. A kind writes one value to one or more tables at the slot of its writer;
 * what it writes on the way, or takes back, is below zero. `greatest` keeps a straggler of unknown outcome from undoing
 * a later write. Carried out by writer.ts.
 */
import { copyIn, extended, parse, query, run, sync } from './connection.ts';
import type { Answer } from './connection.ts';
import type { Table } from './model.ts';

/** What a kind may do; everything is at the writer's slot `k` and with its value `v`. */
export interface Hand {
  readonly k: number;
  readonly v: number;
  /** Which database this is: names that are common to a whole server carry it. */
  readonly world: string;
  /** A Query; an error ends the write. */
  ask(sql: string): Promise<Answer>;
  /** Messages with `count` ReadyForQuery; an error ends the write. */
  send(bytes: Buffer, count?: number): Promise<Answer[]>;
  /** The same, but an error is what is expected. */
  expectError(bytes: Buffer): Promise<void>;
  /** On another session, perhaps of another Weir. */
  askElsewhere(sql: string): Promise<Answer>;
  /** Past Weir, as a superuser. */
  askAround(sql: string): Promise<void>;
  /** The server has said that `v` is committed, though the kind is not over. */
  committed(): void;
  /** A statement prepared once per session under a name. */
  prepared(sql: string, values: readonly number[]): Buffer;
  pause(mostMs: number): Promise<void>;
  chance(probability: number): boolean;
}

export interface Kind {
  readonly name: string;
  readonly tables: readonly Table[];
  /** Nothing of it is kept at the end. */
  readonly isTakenBack?: boolean;
  /** Values of a straggler could undo a later write: not soon after an unknown outcome. */
  readonly isUnguarded?: boolean;
  /** An error does not say that nothing was committed. */
  readonly commitsInside?: boolean;
  /** How often, relative to the others (1). */
  readonly weight?: number;
  write(hand: Hand): Promise<unknown>;
}

const set = (table: string, { k, v }: Hand): string => `UPDATE ${table} SET n = greatest(n, ${v}) WHERE id = ${k}`;
/** On the way to `v`, or to nothing. */
const mid = (table: string, { k, v }: Hand): string =>
  `UPDATE ${table} SET n = CASE WHEN n < ${v} THEN ${-v} ELSE n END WHERE id = ${k}`;
const batch = (...statements: readonly string[]): Buffer =>
  Buffer.concat([...statements.map((sql) => extended(sql)), sync]);

const pair: readonly Table[] = ['pair_a', 'pair_b'];
const setBoth = (hand: Hand): string => `${set('pair_a', hand)}; ${set('pair_b', hand)}`;

const autocommit: readonly Kind[] = [
  { name: 'simple', tables: ['plain'], weight: 3, write: (hand) => hand.ask(set('plain', hand)) },
  { name: 'extended', tables: ['plain'], weight: 2, write: (hand) => hand.send(batch(set('plain', hand))) },
  {
    name: 'prepared by name',
    tables: ['plain'],
    weight: 2,
    write: (hand) => hand.send(hand.prepared('UPDATE plain SET n = greatest(n, $2) WHERE id = $1', [hand.k, hand.v])),
  },
  { name: 'returning', tables: ['plain'], write: (hand) => hand.ask(`${set('plain', hand)} RETURNING n`) },
  {
    name: 'upsert',
    tables: ['plain'],
    write: (hand) =>
      hand.ask(
        `INSERT INTO plain (id, n) VALUES (${hand.k}, ${hand.v}) ON CONFLICT (id) DO UPDATE SET n = greatest(plain.n, excluded.n)`,
      ),
  },
  { name: 'two statements in one Query', tables: pair, weight: 2, write: (hand) => hand.ask(setBoth(hand)) },
  {
    name: 'two statements under one Sync',
    tables: pair,
    write: (hand) => hand.send(batch(set('pair_a', hand), set('pair_b', hand))),
  },
  {
    name: 'failing behind it in one Query',
    tables: pair,
    isTakenBack: true,
    write: (hand) => hand.expectError(query(`${mid('pair_a', hand)}; ${mid('pair_b', hand)}; SELECT 1/0`)),
  },
  {
    name: 'failing behind it under one Sync',
    tables: ['plain'],
    isTakenBack: true,
    write: (hand) => hand.expectError(batch(mid('plain', hand), 'SELECT 1/0')),
  },
  {
    name: 'pipelined units',
    tables: pair,
    write: (hand) =>
      hand.send(
        Buffer.concat([query('SELECT 1'), batch(set('pair_a', hand), set('pair_b', hand)), query('SELECT 2')]),
        3,
      ),
  },
];

const transactions: readonly Kind[] = [
  {
    name: 'transaction',
    tables: pair,
    weight: 2,
    async write(hand) {
      await hand.ask('BEGIN');
      await hand.ask(mid('pair_a', hand));
      await hand.pause(5);
      await hand.ask(set('pair_a', hand));
      await hand.ask(set('pair_b', hand));
      await hand.ask('COMMIT');
    },
  },
  {
    name: 'extended transaction',
    tables: pair,
    async write(hand) {
      for (const sql of ['BEGIN', set('pair_a', hand), set('pair_b', hand), 'COMMIT']) await hand.send(batch(sql));
    },
  },
  {
    name: 'transaction in one Query',
    tables: pair,
    write: (hand) => hand.ask(`BEGIN; ${setBoth(hand)}; COMMIT`),
  },
  {
    name: 'transaction under one Sync',
    tables: pair,
    write: (hand) => hand.send(batch('BEGIN', set('pair_a', hand), set('pair_b', hand), 'COMMIT')),
  },
  {
    name: 'transaction pipelined',
    tables: pair,
    write: (hand) =>
      hand.send(
        Buffer.concat([query('BEGIN'), batch(set('pair_a', hand)), query(set('pair_b', hand)), query('COMMIT')]),
        4,
      ),
  },
  {
    name: 'rollback',
    tables: pair,
    isTakenBack: true,
    async write(hand) {
      await hand.ask('BEGIN');
      await hand.ask(mid('pair_a', hand));
      await hand.ask(mid('pair_b', hand));
      await hand.pause(20);
      await hand.ask('ROLLBACK');
    },
  },
  {
    name: 'savepoint',
    tables: pair,
    async write(hand) {
      await hand.ask('BEGIN');
      await hand.ask(set('pair_a', hand));
      await hand.ask(`SAVEPOINT s; ${mid('pair_b', hand)}`);
      await hand.ask('ROLLBACK TO s');
      await hand.ask(set('pair_b', hand));
      await hand.ask('END');
    },
  },
  {
    name: 'failed transaction',
    tables: ['plain'],
    isTakenBack: true,
    async write(hand) {
      await hand.ask(`BEGIN; ${mid('plain', hand)}`);
      await hand.expectError(query('SELECT 1/0'));
      await hand.ask('COMMIT');
    },
  },
  {
    name: 'locked first',
    tables: ['plain'],
    async write(hand) {
      await hand.ask(`BEGIN; SELECT n FROM plain WHERE id = ${hand.k} FOR UPDATE`);
      await hand.ask(set('plain', hand));
      await hand.ask('COMMIT');
    },
  },
  {
    name: 'where current of',
    tables: ['plain'],
    async write(hand) {
      await hand.ask(`BEGIN; DECLARE c CURSOR FOR SELECT n FROM plain WHERE id = ${hand.k} FOR UPDATE; FETCH c`);
      await hand.ask(`UPDATE plain SET n = greatest(n, ${hand.v}) WHERE CURRENT OF c`);
      await hand.ask('CLOSE c; COMMIT');
    },
  },
];

const behindCommit: readonly Kind[] = [
  {
    name: 'commit and chain',
    tables: ['plain'],
    weight: 2,
    async write(hand) {
      await hand.ask('BEGIN');
      await hand.ask(set('plain', hand));
      await hand.ask('COMMIT AND CHAIN');
      hand.committed();
      await hand.pause(30);
      await hand.ask(hand.chance(0.5) ? 'ROLLBACK' : 'COMMIT');
    },
  },
  {
    name: 'commit and chain extended',
    tables: ['plain'],
    async write(hand) {
      await hand.send(batch('BEGIN', set('plain', hand), 'COMMIT AND CHAIN'));
      hand.committed();
      await hand.send(batch('ROLLBACK'));
    },
  },
  {
    name: 'rollback and chain',
    tables: ['plain'],
    async write(hand) {
      await hand.ask(`BEGIN; ${mid('plain', hand)}`);
      await hand.ask('ROLLBACK AND CHAIN');
      await hand.ask(set('plain', hand));
      await hand.ask('COMMIT');
    },
  },
  {
    name: 'commit and begin in one Query',
    tables: ['plain'],
    async write(hand) {
      await hand.ask('BEGIN');
      await hand.ask(set('plain', hand));
      await hand.ask('COMMIT; BEGIN');
      hand.committed();
      await hand.pause(30);
      await hand.ask('ROLLBACK');
    },
  },
  {
    name: 'commit and begin under one Sync',
    tables: ['plain'],
    async write(hand) {
      await hand.ask('BEGIN');
      await hand.ask(set('plain', hand));
      await hand.send(batch('COMMIT', 'BEGIN'));
      hand.committed();
      await hand.ask('ROLLBACK');
    },
  },
  {
    name: 'failing behind a commit',
    tables: ['plain'],
    async write(hand) {
      await hand.expectError(query(`BEGIN; ${set('plain', hand)}; COMMIT; SELECT 1/0`));
      hand.committed();
    },
  },
  {
    name: 'failing in a transaction behind a commit',
    tables: ['plain'],
    async write(hand) {
      await hand.expectError(query(`BEGIN; ${set('plain', hand)}; COMMIT; BEGIN; SELECT 1/0`));
      hand.committed();
      await hand.ask('ROLLBACK');
    },
  },
  {
    name: 'failing behind a commit under one Sync',
    tables: ['plain'],
    async write(hand) {
      await hand.expectError(batch('BEGIN', set('plain', hand), 'COMMIT', 'SELECT 1/0'));
      hand.committed();
    },
  },
];

const reach: readonly Kind[] = [
  {
    name: 'modifying WITH',
    tables: pair,
    write: (hand) =>
      hand.ask(
        `WITH w AS (${set('pair_a', hand)} RETURNING n) UPDATE pair_b SET n = (SELECT n FROM w) WHERE id = ${hand.k}`,
      ),
  },
  {
    name: 'modifying WITH below a SELECT',
    tables: ['plain'],
    write: (hand) => hand.ask(`WITH w AS (${set('plain', hand)} RETURNING n) SELECT n FROM w`),
  },
  {
    name: 'merge',
    tables: ['plain'],
    write: (hand) =>
      hand.ask(
        `MERGE INTO plain USING (VALUES (${hand.k}, ${hand.v})) AS s (id, n) ON plain.id = s.id WHEN MATCHED THEN UPDATE SET n = greatest(plain.n, s.n)`,
      ),
  },
  {
    name: 'through a view',
    tables: ['plain'],
    write: (hand) => hand.ask(`UPDATE plain_too SET n = greatest(n, ${hand.v}) WHERE id = ${hand.k}`),
  },
  {
    name: 'instead of',
    tables: ['inst_base'],
    write: (hand) => hand.ask(`UPDATE inst SET n = ${hand.v} WHERE id = ${hand.k}`),
  },
  { name: 'trigger', tables: ['trig_src', 'trig_dst'], write: (hand) => hand.ask(set('trig_src', hand)) },
  {
    name: 'deferred trigger',
    weight: 0.3,
    tables: ['defer_src', 'defer_dst'],
    async write(hand) {
      await hand.ask('BEGIN');
      await hand.ask(set('defer_src', hand));
      await hand.ask('COMMIT');
    },
  },
  { name: 'rule', tables: ['rule_src', 'rule_dst'], write: (hand) => hand.ask(setRule(hand)) },
  { name: 'cascade', tables: ['fk_parent', 'fk_child'], write: (hand) => hand.ask(set('fk_parent', hand)) },
  { name: 'partitioned', tables: ['part'], write: (hand) => hand.ask(set('part', hand)) },
  {
    name: 'partition itself',
    tables: ['part'],
    write: (hand) => hand.ask(`${set('part_0', hand)}; ${set('part_1', hand)}`),
  },
  {
    name: 'moved to another partition',
    tables: ['part'],
    write: (hand) => hand.ask(`UPDATE part SET region = 1 - region, n = greatest(n, ${hand.v}) WHERE id = ${hand.k}`),
  },
  { name: 'child of a parent', tables: ['inherited'], write: (hand) => hand.ask(set('inherited_child', hand)) },
  { name: 'parent of a child', tables: ['inherited'], write: (hand) => hand.ask(set('inherited', hand)) },
  {
    name: 'copy',
    tables: ['copied'],
    write: (hand) => hand.send(copyIn('COPY copied FROM STDIN', `${hand.k}\t${hand.v}\n`)),
  },
  {
    name: 'truncate and insert',
    tables: ['truncated'],
    isUnguarded: true,
    weight: 0.5,
    async write(hand) {
      await hand.ask('BEGIN');
      await hand.ask(`TRUNCATE truncated_${hand.k}`);
      await hand.ask(`INSERT INTO truncated_${hand.k} VALUES (${hand.k}, ${hand.v})`);
      await hand.ask('COMMIT');
    },
  },
  {
    name: 'materialized view',
    tables: ['mat_src', 'mat_dst'],
    weight: 0.5,
    commitsInside: true,
    async write(hand) {
      await hand.ask(set('mat_src', hand));
      await hand.ask('REFRESH MATERIALIZED VIEW mat_dst');
    },
  },
];

/** The condition sees the new n: by itself greatest() would be computed twice. */
const setRule = (hand: Hand): string => `UPDATE rule_src SET n = ${hand.v} WHERE id = ${hand.k} AND n < ${hand.v}`;

const functions: readonly Kind[] = [
  {
    name: 'function',
    weight: 0.3,
    tables: ['called'],
    write: (hand) => hand.ask(`SELECT set_called(${hand.k}, ${hand.v})`),
  },
  {
    name: 'function prepared by name',
    weight: 0.3,
    tables: ['called'],
    write: (hand) => hand.send(hand.prepared('SELECT set_called_sql($1, $2)', [hand.k, hand.v])),
  },
  {
    name: 'function that looks stable',
    weight: 0.3,
    tables: ['called'],
    write: (hand) => hand.ask(`SELECT ${hand.chance(0.5) ? 'looks_stable' : 'looks_harmless'}(${hand.k}, ${hand.v})`),
  },
  {
    name: 'do',
    weight: 0.3,
    tables: ['called'],
    write: (hand) => hand.ask(`DO $$ BEGIN PERFORM set_called(${hand.k}, ${hand.v}); END $$`),
  },
  {
    name: 'call with commits inside',
    weight: 0.3,
    tables: ['called'],
    commitsInside: true,
    write: (hand) => hand.ask(`CALL commits_inside(${hand.k}, ${hand.v})`),
  },
];

const others: readonly Kind[] = [
  {
    // The catalog is read anew for each, and then nothing cached is left.
    name: 'trigger made around Weir',
    tables: ['late'],
    isUnguarded: true,
    weight: 0.05,
    async write(hand) {
      const on = `quiet_${hand.k}`;
      await hand.askAround(
        `CREATE OR REPLACE TRIGGER news AFTER UPDATE ON ${on} FOR EACH ROW EXECUTE FUNCTION copy_to('late')`,
      );
      try {
        await hand.pause(1_500);
        await hand.ask(`UPDATE ${on} SET n = ${hand.v}`);
        hand.committed();
      } finally {
        await hand.askAround(`DROP TRIGGER IF EXISTS news ON ${on}`);
      }
    },
  },
  {
    name: 'two-phase',
    weight: 0.3,
    tables: ['two_phase'],
    commitsInside: true,
    async write(hand) {
      const gid = `${hand.world}_${hand.k}_${hand.v}`;
      await hand.ask(`BEGIN; ${set('two_phase', hand)}`);
      await hand.ask(`PREPARE TRANSACTION '${gid}'`);
      await hand.pause(20);
      const end = `COMMIT PREPARED '${gid}'`;
      await (hand.chance(0.5) ? hand.askElsewhere(end) : hand.ask(end));
    },
  },
  {
    name: 'two-phase taken back',
    weight: 0.3,
    tables: ['two_phase'],
    isTakenBack: true,
    async write(hand) {
      const gid = `${hand.world}_${hand.k}_${hand.v}`;
      await hand.ask(`BEGIN; ${mid('two_phase', hand)}`);
      await hand.ask(`PREPARE TRANSACTION '${gid}'`);
      await hand.ask(`ROLLBACK PREPARED '${gid}'`);
    },
  },
  {
    name: 'slow',
    tables: ['slow'],
    weight: 0.5,
    write: (hand) => hand.ask(`${set('slow', hand)} AND pg_sleep(${hand.chance(0.05) ? 12.5 : 0.3}) IS NOT NULL`),
  },
];

export const kinds: readonly Kind[] = [
  ...autocommit,
  ...transactions,
  ...behindCommit,
  ...reach,
  ...functions,
  ...others,
];

export { parse, run };
