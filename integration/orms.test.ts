/**
 * Two ORMs as their users use them, on fewer servers than clients, without the cache and with it: Kysely and TypeORM
 * migrate up, ask, relate, run transactions, and migrate down.
 */
import { Kysely, Migrator, PostgresDialect, sql } from 'kysely';
import type { Generated, Migration } from 'kysely';
import pg from 'pg';
import { DataSource, EntitySchema } from 'typeorm';
import type { MigrationInterface, QueryRunner } from 'typeorm';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startWeir, useCluster, users, weirConfig, PASSWORD } from './harness/index.ts';
import type { WeirProcess } from './harness/index.ts';

const cluster = useCluster();
const clients = 10;
const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

describe.each([
  { how: 'without the cache', cache: { enabled: false } },
  { how: 'with the cache', cache: { enabled: true } },
])('$how', ({ cache }) => {
  let weir: WeirProcess;
  let database: string;
  beforeAll(async () => {
    database = await cluster.createDatabase();
    const pool = { default_pool_size: 3, max_pool_size: 3, resize: { enabled: false } };
    // One client of a pool reads what another has just written: that is for the primary.
    weir = await startWeir(weirConfig(cluster, { database, replicas: [] }, { ...pool, cache }));
  });
  afterAll(async () => {
    await weir.stop();
    await cluster.dropDatabase(database);
  });

  test('Kysely', async () => {
    const dialect = new PostgresDialect({
      pool: new pg.Pool({ connectionString: weir.url({ database }), max: clients }),
    });
    const db = new Kysely<Schema>({ dialect });
    try {
      await useKysely(db);
    } finally {
      await db.destroy();
    }
    expect(await tables()).toEqual(['kysely_migration', 'kysely_migration_lock']);
  });

  test('TypeORM', async () => {
    const { host, port } = weir;
    const source = new DataSource({
      ...{ type: 'postgres', host, port, database, username: users.app, password: PASSWORD },
      ...{ entities: [author, book], migrations: [CreateLibrary1700000000000], poolSize: clients },
    });
    await source.initialize();
    try {
      await useTypeOrm(source);
    } finally {
      await source.destroy();
    }
    expect(await tables()).toContain('migrations');
    expect(await tables()).not.toContain('book');
  });

  async function tables(): Promise<string[]> {
    const rows = await cluster.query<{ name: string }>(
      "SELECT relname AS name FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 1",
      { database },
    );
    return rows.map(({ name }) => name);
  }
});

interface Schema {
  person: { id: Generated<number>; name: string; born: Date | null; tags: Generated<string[]> };
  pet: { id: Generated<number>; person_id: number; name: string };
}

const migrations: Readonly<Record<string, Migration>> = {
  '1_person': {
    up: (db) =>
      db.schema
        .createTable('person')
        .addColumn('id', 'serial', (column) => column.primaryKey())
        .addColumn('name', 'text', (column) => column.notNull())
        .addColumn('born', 'timestamptz')
        .addColumn('tags', sql`text[]`, (column) => column.notNull().defaultTo(sql`'{}'`))
        .execute(),
    down: (db) => db.schema.dropTable('person').execute(),
  },
  '2_pet': {
    async up(db) {
      await db.schema
        .createTable('pet')
        .addColumn('id', 'serial', (column) => column.primaryKey())
        .addColumn('person_id', 'integer', (column) => column.notNull().references('person.id').onDelete('cascade'))
        .addColumn('name', 'text', (column) => column.notNull())
        .execute();
      await db.schema.createIndex('pet_by_person').on('pet').column('person_id').execute();
    },
    down: (db) => db.schema.dropTable('pet').execute(),
  },
};

async function useKysely(db: Kysely<Schema>): Promise<void> {
  const migrator = new Migrator({ db, provider: { getMigrations: () => Promise.resolve({ ...migrations }) } });
  // Two instances of an application start at once: the advisory lock lets one of them do it.
  const both = await Promise.all([migrator.migrateToLatest(), migrator.migrateToLatest()]);
  expect(both.map(({ error }) => error)).toEqual([undefined, undefined]);
  expect(both.flatMap(({ results = [] }) => results.map((one) => `${one.migrationName} ${one.status}`)).sort()).toEqual(
    ['1_person Success', '2_pet Success'],
  );

  const born = new Date('2001-02-03T04:05:06Z');
  const person = await db.insertInto('person').values({ name: 'Ann', born }).returningAll().executeTakeFirstOrThrow();
  expect(person).toEqual({ id: 1, name: 'Ann', born, tags: [] });
  await Promise.all(
    numbers(60).map((i) =>
      db
        .insertInto('pet')
        .values({ person_id: person.id, name: `pet ${i}` })
        .execute(),
    ),
  );
  const joined = await db
    .selectFrom('person')
    .innerJoin('pet', 'pet.person_id', 'person.id')
    .select(({ fn }) => ['person.name', fn.count<string>('pet.id').as('pets')])
    .groupBy('person.name')
    .execute();
  expect(joined).toEqual([{ name: 'Ann', pets: '60' }]);

  await db.transaction().execute(async (tx) => {
    await tx
      .updateTable('person')
      .set({ tags: ['a', 'b'] })
      .where('id', '=', person.id)
      .execute();
    expect(await tx.selectFrom('person').select('tags').executeTakeFirst()).toEqual({ tags: ['a', 'b'] });
  });
  const failing = db
    .transaction()
    .setIsolationLevel('serializable')
    .execute(async (tx) => {
      await tx.deleteFrom('pet').execute();
      await tx.insertInto('pet').values({ person_id: 999, name: 'nobody’s' }).execute();
    });
  await expect(failing).rejects.toMatchObject({ code: '23503', constraint: 'pet_person_id_fkey' });
  const controlled = await db.startTransaction().execute();
  await controlled.insertInto('person').values({ name: 'Bob' }).execute();
  const point = await controlled.savepoint('point').execute();
  await point.deleteFrom('person').execute();
  await point.rollbackToSavepoint('point').execute();
  await controlled.commit().execute();
  const names = db.selectFrom('person').select(['name', 'tags']).orderBy('id');
  expect(await names.execute()).toEqual([
    { name: 'Ann', tags: ['a', 'b'] },
    { name: 'Bob', tags: [] },
  ]);
  // Read by many clients, changed by one: every read after the change shows it.
  for (const name of ['Cid', 'Dora', 'Eve']) {
    await Promise.all(numbers(20).map(() => names.execute()));
    await db.updateTable('person').set({ name }).where('id', '=', 2).execute();
    const seen = await Promise.all(numbers(20).map(() => names.execute()));
    expect(new Set(seen.map((rows) => rows[1]?.name))).toEqual(new Set([name]));
  }
  expect((await db.introspection.getTables()).map(({ name }) => name).sort()).toEqual(['person', 'pet']);
  expect(await db.selectFrom('pet').select('id').where('name', 'in', ['pet 1', 'pet 2']).execute()).toHaveLength(2);

  expect((await migrator.migrateDown()).error).toBeUndefined();
  await expect(db.selectFrom('pet').selectAll().execute()).rejects.toMatchObject({ code: '42P01' });
  expect((await migrator.migrateDown()).error).toBeUndefined();
}

interface Author {
  id: number;
  name: string;
  books: Book[];
}
interface Book {
  id: number;
  title: string;
  facts: Record<string, unknown> | null;
  author: Author;
}

const author = new EntitySchema<Author>({
  name: 'author',
  columns: { id: { type: Number, primary: true, generated: true }, name: { type: 'text', unique: true } },
  relations: { books: { type: 'one-to-many', target: 'book', inverseSide: 'author', cascade: true } },
});
const book = new EntitySchema<Book>({
  name: 'book',
  columns: {
    id: { type: Number, primary: true, generated: true },
    title: { type: 'text' },
    facts: { type: 'jsonb', nullable: true },
  },
  relations: { author: { type: 'many-to-one', target: 'author', inverseSide: 'books', onDelete: 'CASCADE' } },
});

class CreateLibrary1700000000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query('CREATE TABLE author (id serial PRIMARY KEY, name text NOT NULL UNIQUE)');
    await runner.query(`CREATE TABLE book (id serial PRIMARY KEY, title text NOT NULL, facts jsonb,
      "authorId" int REFERENCES author ON DELETE CASCADE)`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE book');
    await runner.query('DROP TABLE author');
  }
}

async function useTypeOrm(source: DataSource): Promise<void> {
  expect(await source.showMigrations()).toBe(true);
  expect((await source.runMigrations({ transaction: 'all' })).map(({ name }) => name)).toEqual([
    'CreateLibrary1700000000000',
  ]);
  expect(await source.showMigrations()).toBe(false);

  const authors = source.getRepository<Author>('author');
  const books = source.getRepository<Book>('book');
  const writings = numbers(30).map((i) => ({ title: `book ${i}`, facts: { i, pages: [i, i + 1] } }));
  await authors.save({ name: 'Ann', books: writings });
  await Promise.all(numbers(20).map((i) => authors.save({ name: `author ${i}`, books: [{ title: `of ${i}` }] })));
  const ann = await authors.findOneOrFail({ where: { name: 'Ann' }, relations: { books: true } });
  expect(ann.books.map(({ title }) => title).sort()).toEqual(writings.map(({ title }) => title).sort());
  const found = await Promise.all(
    numbers(40).map((i) => books.findOne({ where: { title: `book ${i % 30}` }, relations: { author: true } })),
  );
  found.forEach((one, i) => expect(one).toMatchObject({ facts: { i: i % 30 }, author: { name: 'Ann' } }));
  const counted = await books
    .createQueryBuilder('book')
    .innerJoin('book.author', 'author')
    .select('count(*)::int', 'count')
    .where('author.name LIKE :name', { name: 'author%' })
    .getRawOne<{ count: number }>();
  expect(counted).toEqual({ count: 20 });

  // A transaction within a transaction is a savepoint.
  await source.transaction(async (outer) => {
    await outer.getRepository<Book>('book').update({ title: 'book 0' }, { title: 'kept' });
    const inner = outer.transaction(async (tx) => {
      await tx.getRepository<Book>('book').delete({ title: 'kept' });
      await tx.getRepository<Author>('author').insert({ name: 'Ann' });
    });
    await expect(inner).rejects.toMatchObject({ code: '23505' });
  });
  await expect(books.findOneBy({ title: 'kept' })).resolves.toMatchObject({ facts: { i: 0 } });
  const failing = source.transaction('SERIALIZABLE', async (tx) => {
    await tx.getRepository<Author>('author').createQueryBuilder().delete().execute();
    throw new Error('changed my mind');
  });
  await expect(failing).rejects.toThrow('changed my mind');
  expect(await authors.count()).toBe(21);
  await authors.delete({ name: 'Ann' });
  expect(await books.count()).toBe(20);
  // What the entities say and what the migration made are compared in the catalog.
  const { upQueries } = await source.driver.createSchemaBuilder().log();
  expect(upQueries.map(({ query }) => query).filter((query) => query.includes('DROP TABLE'))).toEqual([]);

  await source.undoLastMigration();
  await expect(books.count()).rejects.toMatchObject({ code: '42P01' });
}
