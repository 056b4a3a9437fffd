/**
 * Weir writes a server's messages and reads a client's itself; the package pg-protocol does the opposite. Here each checks
 * the other: what one has written, the other must read as what was meant, in whatever pieces it arrives.
 */
import fc from 'fast-check';
import { serialize } from 'pg-protocol';
import type { DatabaseError } from 'pg-protocol';
import type * as messages from 'pg-protocol/dist/messages.js';
import { Parser } from 'pg-protocol/dist/parser.js';
import { describe, expect, test } from 'vitest';
import { readBind, readExecute, readParse, readTarget } from '../../src/console/wire.ts';
import * as write from '../../src/protocol/write.ts';

/** Without the zero that ends it, and without halves of characters, which have no UTF-8. */
const text = fc.string({ unit: 'grapheme' }).map((each) => each.replaceAll('\0', ''));

/** What a client with pg-protocol hears. */
function heard<T = messages.BackendMessage>(bytes: Buffer, pieceBytes = bytes.length): T[] {
  const found: unknown[] = [];
  const parser = new Parser();
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    // A copy: the package keeps what it is given.
    parser.parse(Buffer.from(bytes.subarray(at, at + pieceBytes)), (message) => found.push(message));
  }
  return found as T[];
}

const bodyOf = (message: Buffer): Buffer => message.subarray(5);

describe('what Weir says as a server is heard by pg-protocol', () => {
  test('messages without contents', () => {
    const all = [
      write.authenticationOk,
      write.parseComplete,
      write.bindComplete,
      write.closeComplete,
      write.noData,
      write.emptyQueryResponse,
      write.readyForQuery('T'),
    ];
    for (const pieceBytes of [1, 2, 7, 1000]) {
      expect(heard(Buffer.concat(all), pieceBytes).map(({ name }) => name)).toEqual([
        'authenticationOk',
        'parseComplete',
        'bindComplete',
        'closeComplete',
        'noData',
        'emptyQuery',
        'readyForQuery',
      ]);
    }
  });

  test('errors and notices', () => {
    fc.assert(
      fc.property(text, text, text, text, (message, detail, hint, routine) => {
        const fields = { severity: 'ERROR', sqlstate: '0A000', message, detail, hint, routine };
        const [error] = heard<DatabaseError>(write.errorResponse(fields), 3);
        expect(error).toMatchObject({
          name: 'error',
          severity: 'ERROR',
          code: '0A000',
          message,
          detail,
          hint,
          routine,
        });
        const [notice] = heard<messages.NoticeMessage>(write.noticeResponse(fields), 5);
        expect(notice).toMatchObject({ name: 'notice', code: '0A000', message, detail, hint });
      }),
    );
  });

  test('rows', () => {
    const values = fc.array(fc.option(text), { maxLength: 20 });
    fc.assert(
      fc.property(values, fc.integer({ min: 1, max: 30 }), (row, pieceBytes) => {
        const columns = row.map((_, index) => ({ name: `column ${index}`, typeOid: index % 2 === 0 ? 25 : 20 }));
        const all = [write.rowDescription(columns), write.dataRow(row), write.commandComplete('SELECT 1')];
        const [description, data, complete] = heard<
          messages.RowDescriptionMessage & messages.DataRowMessage & messages.CommandCompleteMessage
        >(Buffer.concat(all), pieceBytes);
        expect(description!.fields.map(({ name, dataTypeID }) => ({ name, typeOid: dataTypeID }))).toEqual(columns);
        expect(data!.fields).toEqual(row);
        expect(complete!.text).toBe('SELECT 1');
      }),
    );
  });

  test('parameters, keys, types, and what it asks at a log-in', () => {
    const all = [
      write.parameterStatus('TimeZone', 'Europe/Berlin'),
      write.backendKeyData(4711, Buffer.from([0, 0, 1, 0])),
      write.parameterDescription([23, 25]),
      write.authentication(5, Buffer.from('salt')),
      write.authentication(10, write.strings('SCRAM-SHA-256', '')),
    ];
    expect(heard(Buffer.concat(all))).toMatchObject([
      { name: 'parameterStatus', parameterName: 'TimeZone', parameterValue: 'Europe/Berlin' },
      { name: 'backendKeyData', processID: 4711, secretKey: 256 },
      { name: 'parameterDescription', dataTypeIDs: [23, 25] },
      { name: 'authenticationMD5Password', salt: Buffer.from('salt') },
      { name: 'authenticationSASL', mechanisms: ['SCRAM-SHA-256'] },
    ]);
  });
});

describe('what pg-protocol says as a client is heard by the console', () => {
  test('Parse, Describe, Close and Execute', () => {
    fc.assert(
      fc.property(text, text, fc.nat(), (name, sql, rows) => {
        const parse = serialize.parse({ name, text: sql });
        expect(write.parse(name, Buffer.from(sql), Buffer.alloc(2))).toEqual(parse);
        expect(readParse(bodyOf(parse))).toEqual({ name, sql });
        expect(readTarget(bodyOf(serialize.describe({ type: 'S', name })))).toEqual({ kind: 'S', name });
        expect(readTarget(bodyOf(serialize.close({ type: 'P', name })))).toEqual({ kind: 'P', name });
        expect(readExecute(bodyOf(serialize.execute({ portal: name, rows })))).toEqual({ portal: name, maxRows: rows });
      }),
    );
  });

  test('Bind', () => {
    const value = fc.oneof(text, fc.constant(null), fc.uint8Array().map(Buffer.from));
    fc.assert(
      fc.property(text, text, fc.array(value), fc.boolean(), (portal, statement, values, binary) => {
        const message = serialize.bind({ portal, statement, values, binary });
        const parameters = values.length;
        expect(readBind(bodyOf(message))).toEqual({ portal, statement, parameters, formats: [binary ? 1 : 0] });
      }),
    );
  });
});
