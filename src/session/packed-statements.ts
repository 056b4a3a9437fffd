/**
 * Prepared statements as plain data, for the hand-over of a session to another process (packed.ts). Used by
 * concerns/prepared-statements.ts.
 */
import type { Description } from '../protocol/description.ts';
import type { Classified } from '../sql/facts.ts';
import { Fields } from '../util/fields.ts';
import { packSettings, settingsIn, type PackedSettings } from './packed-settings.ts';
import type { Settings } from './settings.ts';
import type { Borrowed, Statement, StatementBook } from './statements.ts';

interface PackedDescription {
  readonly parameters?: Uint8Array;
  readonly resultType: string;
  readonly frames?: Uint8Array;
}

interface PackedStatement {
  /** The client's name for it; '': the unnamed statement. */
  readonly name: string;
  readonly sql: Uint8Array;
  readonly types: Uint8Array;
  /** The same for all clients that share the statement, and for no other statement of any process. */
  readonly origin: string;
  readonly settings: PackedSettings;
  readonly description?: PackedDescription;
}

export interface PackedStatements {
  readonly named: readonly PackedStatement[];
  readonly unnamed?: PackedStatement;
  /** Names of those that are borrowed (request/prepared/borrowed.ts). */
  readonly borrowed: readonly string[];
}

export interface ArrivedStatement {
  readonly name: string;
  readonly sql: Buffer;
  readonly types: Buffer;
  readonly origin: string;
  readonly settings: Settings;
  readonly description: Description | undefined;
}

interface Arrived {
  readonly named: readonly ArrivedStatement[];
  readonly unnamed: ArrivedStatement | undefined;
  readonly borrowed: readonly string[];
}

/** A catalogMark that no catalog has: what was borrowed elsewhere is prepared anew when it is first used. */
export const otherCatalog = '';

/** @returns undefined: there are none */
export function packStatements(
  book: StatementBook,
  named: ReadonlyMap<string, Statement>,
  unnamed: Statement | undefined,
  borrowed: ReadonlyMap<string, Borrowed> | undefined,
): PackedStatements | undefined {
  if (named.size === 0 && unnamed === undefined) return undefined;
  // After DDL through this Weir the client must keep what it has.
  const free = [...(borrowed ?? [])].filter(([, { ddlHere }]) => ddlHere === book.ddlHere);
  return {
    named: [...named].map(([name, statement]) => packStatement(book, name, statement)),
    ...(unnamed !== undefined && { unnamed: packStatement(book, '', unnamed) }),
    borrowed: free.map(([name]) => name),
  };
}

function packStatement(book: StatementBook, name: string, statement: Statement): PackedStatement {
  const { sql, types, settings, description, serverName } = statement;
  return {
    ...{ name, sql, types, settings: packSettings(settings), origin: `${book.id} ${serverName}` },
    ...(description !== undefined && { description: packDescription(description) }),
  };
}

function packDescription({ parameters, resultType, frames }: Description): PackedDescription {
  return { resultType, ...(parameters !== undefined && { parameters }), ...(frames !== undefined && { frames }) };
}

/** @throws ShapeError */
export function statementsIn(packed: unknown): Arrived {
  const fields = new Fields('the statements', packed, ['named', 'unnamed', 'borrowed']);
  return {
    named: fields.list('named').map(statementIn),
    unnamed: fields.has('unnamed') ? statementIn(fields.value('unnamed')) : undefined,
    borrowed: fields.texts('borrowed'),
  };
}

function statementIn(value: unknown): ArrivedStatement {
  const fields = new Fields('a statement', value, ['name', 'sql', 'types', 'origin', 'settings', 'description']);
  return {
    name: fields.text('name'),
    sql: fields.bytes('sql'),
    types: fields.bytes('types'),
    origin: fields.text('origin'),
    settings: settingsIn(fields, 'settings'),
    description: fields.has('description') ? descriptionIn(fields.value('description')) : undefined,
  };
}

function descriptionIn(value: unknown): Description {
  const fields = new Fields('a description', value, ['parameters', 'resultType', 'frames']);
  return {
    parameters: fields.has('parameters') ? fields.bytes('parameters') : undefined,
    resultType: fields.text('resultType'),
    frames: fields.has('frames') ? fields.bytes('frames') : undefined,
  };
}

/**
 * Enters it in the book of this process. It is shared with those who shared it there, and with nobody else: others may have
 * prepared the same text after its tables were altered.
 */
export function arrive(
  book: StatementBook,
  { sql, types, origin, settings, description }: ArrivedStatement,
  classify: (sql: Buffer) => Classified,
): Statement {
  const statement = book.enter(sql, types, `from ${origin}`, settings, classify);
  if (description !== undefined) statement.description ??= description;
  return statement;
}
