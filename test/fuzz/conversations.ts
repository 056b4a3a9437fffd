/**
 * What proper clients say, for tests in which one of the two sides dies or misbehaves at each of its messages.
 */
import { describe as describeMessage, flush, query, sync } from '../../src/protocol/write.ts';
import { bind, copyData, copyDone, execute, parseText } from './frames.ts';
import type { WorldOptions } from './world.ts';

export interface Conversation {
  readonly says: readonly Buffer[];
  /** How many ReadyForQuery a healthy server answers with. */
  readonly readies: number;
  /** It only reads: as long as no row was shown, nobody notices that a server died. */
  readonly isRead?: boolean;
  /** SQLSTATE of the error with which Weir itself answers a message, whatever becomes of the server. */
  readonly ownError?: string;
  readonly options?: Partial<WorldOptions>;
}

export const batch = (name: string, sql: string): Buffer =>
  Buffer.concat([parseText(name, sql), bind('', name), describeMessage('P', ''), execute(''), sync]);

export const conversations: Readonly<Record<string, Conversation>> = {
  'a simple read': { says: [query("SELECT 'x'")], readies: 1, isRead: true },
  'a simple write': { says: [query('INSERT INTO lines VALUES (1)')], readies: 1 },
  'several statements': { says: [query("SELECT 'x'; INSERT INTO lines VALUES (2)")], readies: 1 },
  'a prepared read': { says: [batch('s', "SELECT 'x'")], readies: 1, isRead: true },
  'a prepared write': { says: [batch('w', 'INSERT INTO lines VALUES (3)')], readies: 1 },
  'a pipeline': {
    says: [batch('s', "SELECT 'x'"), batch('w', 'INSERT INTO lines VALUES (4)'), batch('', "SELECT 'y'")],
    readies: 3,
  },
  'COPY to the client': { says: [query('COPY lines TO STDOUT')], readies: 1 },
  'COPY from the client': {
    says: [query('COPY lines FROM STDIN'), copyData(Buffer.from('a\n')), copyDone],
    readies: 1,
  },
  'a transaction': {
    says: [query('BEGIN'), query('INSERT INTO lines VALUES (5)'), query('COMMIT'), query("SELECT 'after'")],
    readies: 4,
  },
  'an error of Weir in a transaction': {
    says: [query('BEGIN'), query('SET weir.bogus = 1'), query('INSERT INTO lines VALUES (7)'), query('COMMIT')],
    readies: 4,
    ownError: '42704',
  },
  'an error of Weir in a batch that is flushed before its Sync': {
    says: [
      query('BEGIN'),
      Buffer.concat([parseText('', 'SET weir.bogus = 1'), bind('', ''), execute(''), flush]),
      Buffer.concat([parseText('w', 'INSERT INTO lines VALUES (8)'), bind('', 'w'), execute(''), sync]),
      batch('', 'ROLLBACK'),
      query("SELECT 'after'"),
    ],
    readies: 4,
    ownError: '42704',
  },
  'an error of Weir in a transaction that may still move': {
    says: [query('BEGIN READ ONLY'), query('SET weir.bogus = 1'), query("SELECT 'x'"), query('ROLLBACK')],
    readies: 4,
    ownError: '42704',
  },
  'a setting to be replayed': { says: [query("SET application_name = 'me'"), query("SELECT 'x'")], readies: 2 },
  'a statement that another server has to prepare': {
    says: [
      query("SET weir.route = 'primary'"),
      batch('s', "SELECT 'x'"),
      query("SET weir.route = 'replica'"),
      Buffer.concat([bind('', 's'), execute(''), sync]),
    ],
    readies: 4,
  },
  'settings that another server has to be told': {
    says: [
      query("SET weir.route = 'primary'"),
      query("SET application_name = 'me'"),
      query("SELECT 'x'"),
      query("SET weir.route = 'replica'"),
      query("SELECT 'y'"),
      query('INSERT INTO lines VALUES (6)'),
    ],
    readies: 6,
  },
  'a session that is reset afterwards': {
    says: [query("SET work_mem = '2MB'"), query("SELECT 'x'")],
    readies: 2,
    options: { poolMode: 'session' },
  },
};
