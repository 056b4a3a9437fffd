/**
 * SELECT weir_invalidate(...), which Weir answers itself: outside a transaction it takes effect at once, inside at the commit.
 * Called by answer-locally.ts, which has the protocol around it.
 */
import { bytesOfCount, type Portal } from './portal.ts';
import { WeirError } from '../../errors/errors.ts';
import { commandComplete, dataRow, parameterDescription, rowDescription } from '../../protocol/write.ts';
import { TxStatus } from '../../protocol/codes.ts';
import { stripComments } from '../../sql/comments.ts';
import type { StatementFacts } from '../../sql/facts.ts';
import { maxTagChars, maxTags } from '../../sql/hints.ts';
import { functionName, readArray, readBinaryArray, readInvalidateCall } from '../../sql/invalidate-call.ts';
import type { CallArgument, InvalidateCall } from '../../sql/invalidate-call.ts';
import type { Session } from '../../session/session.ts';
import { typeOfParameter, type BoundValue } from '../prepared/bound-settings.ts';
import { anyDatabase } from '../../session/concerns/write-set.ts';

const textOid = 25;
const textArrayOid = 1009;
const bigintOid = 20;
/** text, name, unknown, varchar. */
const textTypes: ReadonlySet<number> = new Set([textOid, 19, 705, 1043]);
/** text[], name[], varchar[]. */
const arrayTypes: ReadonlySet<number> = new Set([textArrayOid, 1003, 1015]);

/** A schema before the name means a function of the database. */
export function callsInvalidate({ functions }: StatementFacts): boolean {
  return functions.some(({ schema, name }) => name === functionName && schema === undefined);
}

/** @throws WeirError if the text has more in it than the call */
export function invalidateCallIn(sql: Buffer): InvalidateCall {
  const call = readInvalidateCall(stripComments(sql).toString('utf8'));
  if (call === undefined) throw new WeirError('invalidate_form');
  return call;
}

/** The answer to Describe of the statement. @throws WeirError */
export function parametersOf(call: InvalidateCall, types: Buffer | undefined): Buffer {
  const oids = Array.from({ length: call.parameters }, (_, i) => {
    const declared = typeOfParameter(i + 1, types);
    if (declared !== 0) return declared;
    const isArray = call.args.some((arg) => arg.kind === 'parameter' && arg.number === i + 1 && arg.isArray === true);
    return isArray ? textArrayOid : textOid;
  });
  return parameterDescription(oids);
}

export function columnOf({ column }: InvalidateCall, isBinary: boolean): Buffer {
  return rowDescription([{ name: column, typeOid: bigintOid, isBinary }]);
}

/** Invalidates. @returns DataRow and CommandComplete. @throws WeirError */
export function invalidate(session: Session, call: InvalidateCall, { values, types, isBinary }: Portal): Buffer {
  const tags = tagsOf(call, values, types);
  if (session.status === TxStatus.Idle) invalidateNow(session, tags);
  else if (!session.concerns.writes.addTags(tags)) throw wrong('too many tags in one transaction');
  return Buffer.concat([dataRow([isBinary ? bytesOfCount(tags.length) : tags.length]), commandComplete('SELECT 1')]);
}

/** As a write that was committed: when the client is answered, every worker knows of it, and Redis. */
function invalidateNow(session: Session, tags: readonly string[]): void {
  if (tags.length === 0) return;
  const { ticker } = session.database.topology;
  const guard = session.services.cache.close(tags, false, anyDatabase, session.concerns.freshness.seen);
  const { announced } = guard;
  if (announced === undefined) return guard.committed(ticker.next(), ticker);
  const commit = async (): Promise<void> => {
    await announced;
    guard.committed(ticker.next(), ticker);
    await guard.knownToWorkers;
  };
  session.holdAnswers(commit());
}

const wrong = (what: string): WeirError => new WeirError('invalidate_argument', { what });

/** @returns the tags as the cache names them, each once; NULL names none */
function tagsOf(call: InvalidateCall, values: readonly BoundValue[], types: Buffer | undefined): string[] {
  const names = new Set<string>();
  for (const arg of call.args) {
    for (const name of namesIn(arg, values, types)) if (name !== null) names.add(name);
    if (names.size > maxTags) throw wrong(`more than ${maxTags} tags`);
  }
  for (const name of names) {
    if (name === '') throw wrong('a tag is empty');
    if (name.length > maxTagChars) throw wrong(`a tag is longer than ${maxTagChars} characters`);
  }
  return [...names].map((name) => `t:${name}`);
}

function namesIn(
  arg: CallArgument,
  values: readonly BoundValue[],
  types: Buffer | undefined,
): readonly (string | null)[] {
  if (arg.kind === 'text') return [arg.value];
  const value = values[arg.number - 1];
  if (value === undefined) throw wrong(`there is no parameter $${arg.number}`);
  if (value.bytes === undefined) return [null];
  const type = typeOfParameter(arg.number, types);
  const isArray = arg.isArray ?? (type === 0 ? undefined : arrayTypes.has(type));
  if (type !== 0 && !textTypes.has(type) && !arrayTypes.has(type))
    throw wrong(`$${arg.number} is neither text nor text[]`);
  const text = value.bytes.toString('utf8');
  // Drivers that say no types send an array as its text.
  if (isArray === undefined) return (value.isBinary ? undefined : readArray(text)) ?? [text];
  if (!isArray) return [text];
  const names = value.isBinary ? readBinaryArray(value.bytes) : readArray(text);
  if (names === undefined) throw wrong(`$${arg.number} is no array of one dimension`);
  return names;
}
