/** Clients whose bytes are not UTF-8: their names stay apart, and nothing is concluded from letters that may be others. */
import { afterEach, describe, expect, it } from 'vitest';
import { until } from '../../integration/harness/until.ts';
import { Frontend } from '../../src/protocol/codes.ts';
import { frame, query, sync } from '../../src/protocol/write.ts';
import { Settings } from '../../src/session/settings.ts';
import { StatementBook } from '../../src/session/statements.ts';
import { createClassifier } from '../../src/sql/classifier.ts';
import { execute } from '../fuzz/frames.ts';
import { framesOf } from '../fuzz/rude-client.ts';
import { makeWorld } from '../fuzz/world.ts';
import type { World } from '../fuzz/world.ts';

const classifier = await createClassifier();
const worlds: World[] = [];
afterEach(() => {
  for (const world of worlds.splice(0)) world.stop();
});

/** Says all this and returns the types of the answers and the texts of the rows. */
async function answersTo(...says: readonly Buffer[]): Promise<{ types: string; rows: string[] }> {
  const world = makeWorld({ classifier });
  worlds.push(world);
  const socket = world.connect();
  const heard: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => heard.push(chunk));
  const frames = () => framesOf(Buffer.concat(heard)).frames;
  const readies = (): number => frames().filter(({ type }) => type === 0x5a).length;
  for (const [index, one] of says.entries()) {
    socket.write(one);
    await until('its answer', () => readies() === index + 2, { intervalMs: 1 });
  }
  socket.end();
  const first = frames().findIndex(({ type }) => type === 0x5a) + 1;
  const said = frames().slice(first);
  return {
    types: said.map(({ type }) => String.fromCharCode(type)).join(''),
    rows: said.filter(({ type }) => type === 0x44).map(({ body }) => body.toString('latin1', 6)),
  };
}

const parse = (name: string, sql: string): Buffer =>
  frame(Frontend.Parse, Buffer.from(`${name}\0${sql}\0\0\0`, 'latin1'));
const bind = (name: string): Buffer => frame(Frontend.Bind, Buffer.from(`\0${name}\0\0\0\0\0\0\0`, 'latin1'));
const lastRoute = query('SHOW weir.last_route');

describe('names that are not UTF-8', () => {
  it('are each their own', async () => {
    const { types, rows } = await answersTo(
      Buffer.concat([parse('\xff', 'SELECT 1'), parse('\xfe', 'SELECT 2'), sync]),
      Buffer.concat([bind('\xff'), execute(''), bind('\xfe'), execute(''), sync]),
    );
    expect(types).toBe('11Z2DC2DCZ');
    expect(rows).toEqual(['SELECT 1', 'SELECT 2']);
  });
});

describe('what a text means', () => {
  const read = query("SELECT '\u00e9'");

  it('is known in UTF-8', async () => {
    expect((await answersTo(read, lastRoute)).rows[1]).toContain('replica');
  });

  it.each(['LATIN1', 'SJIS', 'SQL_ASCII'])('is not known in %s, but for ASCII', async (encoding) => {
    const set = query(`SET client_encoding = '${encoding}'`);
    const { rows } = await answersTo(set, read, lastRoute, query("SELECT 'e'"), lastRoute);
    expect(rows[1]).toContain('primary');
    expect(rows[3]).toContain('replica');
  });
});

describe('statements that nobody uses any more', () => {
  it('are kept by their size, too', () => {
    const book = new StatementBook();
    for (let i = 0; i < 200; i++) {
      const sql = Buffer.alloc(1 << 20, `SELECT ${i} --`);
      book.leave(
        book.enter(sql, Buffer.alloc(2), '', Settings.none, () => classifier.classify(Buffer.from('SELECT 1'))),
      );
    }
    expect(book.size).toBeLessThanOrEqual(16);
    expect(book.size).toBeGreaterThan(4);
  });
});
