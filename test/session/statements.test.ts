/** The book of prepared statements: what is one statement for several clients, and what must not be. */
import { describe, expect, test } from 'vitest';
import { Settings } from '../../src/session/settings.ts';
import { StatementBook } from '../../src/session/statements.ts';
import type { Statement } from '../../src/session/statements.ts';
import { createClassifier } from '../../src/sql/classifier.ts';

const classifier = await createClassifier();
const noTypes = Buffer.from([0, 0]);

function enter(book: StatementBook, sql: string, scene: string | undefined, types = noTypes): Statement {
  return book.enter(Buffer.from(sql), types, scene, Settings.none, (text) => classifier.classify(text));
}

describe('one statement', () => {
  test('for the same text and types in the same scene', () => {
    const book = new StatementBook();
    const scene = book.sceneOf({}, '');
    expect(enter(book, 'SELECT 1', scene)).toBe(enter(book, 'SELECT 1', scene));
    expect(enter(book, 'SELECT 1', scene, Buffer.from([0, 1, 0, 0, 0, 23]))).not.toBe(enter(book, 'SELECT 1', scene));
  });

  test('not across settings, catalogs or a change of the catalog', () => {
    const book = new StatementBook();
    const catalog = {};
    const scenes = [book.sceneOf(catalog, ''), book.sceneOf(catalog, 'timezone=UTC'), book.sceneOf({}, '')];
    book.catalogChanged();
    scenes.push(book.sceneOf(catalog, ''), book.sceneOf(undefined, ''));
    const names = scenes.map((scene) => enter(book, 'SELECT 1', scene).serverName);
    expect(new Set(names).size).toBe(5);
  });

  test('not at all without a scene', () => {
    const book = new StatementBook();
    expect(enter(book, "SELECT 'now'::timestamp", undefined)).not.toBe(
      enter(book, "SELECT 'now'::timestamp", undefined),
    );
    expect(book.size).toBe(0);
  });

  test('is the same again for who closed it and did not', () => {
    const book = new StatementBook();
    const scene = book.sceneOf({}, '');
    const statement = enter(book, 'SELECT 1', scene);
    book.leave(statement);
    book.keep(statement);
    expect(enter(book, 'SELECT 1', scene)).toBe(statement);
  });
});
