/**
 * Makes StatementFacts from libpg-query's syntax tree, one for each statement: determines its kind and passes its parts to
 * extract-query.ts (rows), extract-session.ts (state) and extract-ddl.ts (catalog). Unknown syntax throws
 * UnsupportedSyntax; the classifier then makes the text one unknown statement.
 */
import { astOf, bodyOf, isAst, listOf, nodeOf, textOf } from './ast.ts';
import type { Ast } from './ast.ts';
import { Draft, UnsupportedSyntax } from './draft.ts';
import { readDefinition } from './extract-ddl.ts';
import { QueryWalker } from './extract-query.ts';
import { readSet, readSetConfig, readTransaction } from './extract-session.ts';
import type { StatementFacts } from './facts.ts';
import type { Reading } from './reading.ts';
import { canonicalName } from './settings.ts';
import { sessionWords } from '../util/session-words.ts';

const CURSOR_OPT_HOLD = 0x20;
const DISCARDS: Readonly<Record<string, StatementFacts['discards']>> = {
  DISCARD_ALL: 'all',
  DISCARD_PLANS: 'plans',
  DISCARD_SEQUENCES: 'sequences',
  DISCARD_TEMP: 'temp',
};

type Read = (body: Ast, draft: Draft, walker: QueryWalker, reading: Reading) => void;

/** @throws UnsupportedSyntax, and RangeError for trees deeper than the stack. */
export function extractStatements(tree: unknown, reading: Reading): StatementFacts[] {
  return listOf(astOf(tree)['stmts']).map((raw) => {
    const draft = new Draft();
    readStatement(astOf(raw)['stmt'], draft, reading);
    return draft.finish();
  });
}

function readStatement(statement: unknown, draft: Draft, reading: Reading): void {
  const node = nodeOf(statement);
  if (node === undefined) throw new UnsupportedSyntax('a statement without a tree');
  const walker = new QueryWalker(draft, reading);
  const read = READERS.get(node.tag);
  if (read !== undefined) read(node.body, draft, walker, reading);
  else if (!readDefinition(node.tag, node.body, draft)) throw new UnsupportedSyntax(`a ${node.tag}`);
}

const READERS: ReadonlyMap<string, Read> = new Map<string, Read>([
  ['SelectStmt', readSelect],
  ['InsertStmt', readModification('INSERT')],
  ['UpdateStmt', readModification('UPDATE')],
  ['DeleteStmt', readModification('DELETE')],
  ['MergeStmt', readModification('MERGE')],
  ['CreateTableAsStmt', readCreateTableAs],
  ['ViewStmt', readView],
  ['RefreshMatViewStmt', readRefresh],
  ['ExplainStmt', readExplain],
  ['CopyStmt', readCopy],
  ['TransactionStmt', (body, draft) => readTransaction(body, draft)],
  ['VariableSetStmt', (body, draft, _walker, reading) => readSet(body, draft, reading)],
  ['VariableShowStmt', readShow],
  ['PrepareStmt', readPrepare],
  ['ExecuteStmt', readExecute],
  ['DeclareCursorStmt', readDeclare],
  ['CallStmt', readCall],
  ['TruncateStmt', readTruncate],
  ['LockStmt', readLock],
  ['DeallocateStmt', (body, draft) => named(draft, 'deallocate', 'DEALLOCATE', body['name'])],
  ['FetchStmt', (body, draft) => named(draft, 'fetch', body['ismove'] === true ? 'MOVE' : 'FETCH', body['portalname'])],
  ['ClosePortalStmt', (body, draft) => named(draft, 'close', 'CLOSE', body['portalname'])],
  ['ListenStmt', (body, draft) => named(draft, 'listen', 'LISTEN', body['conditionname'])],
  ['UnlistenStmt', (body, draft) => named(draft, 'unlisten', 'UNLISTEN', body['conditionname'] ?? '*')],
  ['NotifyStmt', (body, draft) => named(draft, 'notify', 'NOTIFY', body['conditionname'])],
  ['DiscardStmt', readDiscard],
  // SET CONSTRAINTS ends with the transaction, so it is never replayed.
  ['ConstraintsSetStmt', (_body, draft) => named(draft, 'set', 'SET CONSTRAINTS', undefined)],
  [
    'VacuumStmt',
    (body, draft) => named(draft, 'maintenance', body['is_vacuumcmd'] === true ? 'VACUUM' : 'ANALYZE', undefined),
  ],
  ['ClusterStmt', (_body, draft) => named(draft, 'maintenance', 'CLUSTER', undefined)],
  ['CheckPointStmt', (_body, draft) => named(draft, 'maintenance', 'CHECKPOINT', undefined)],
  ['DoStmt', readDo],
  ['LoadStmt', (_body, draft) => named(draft, 'load', 'LOAD', undefined)],
]);

const LEAVES_STATE = new RegExp(sessionWords('\\b'), 'i');

function readDo(body: Ast, draft: Draft, _walker: QueryWalker, reading: Reading): void {
  named(draft, 'do', 'DO', undefined);
  reading.usesConstant();
  for (const arg of listOf(body['args'])) {
    const element = bodyOf(arg, 'DefElem');
    if (element?.['defname'] !== 'as') continue;
    const text = textOf(bodyOf(element['arg'], 'String')?.['sval']);
    draft.block = { text, leavesState: LEAVES_STATE.test(text ?? '') };
  }
}

function named(draft: Draft, kind: StatementFacts['kind'], verb: string, name: unknown): void {
  draft.kind = kind;
  draft.verb = verb;
  draft.name = textOf(name);
}

function readSelect(body: Ast, draft: Draft, walker: QueryWalker, reading: Reading): void {
  const first = listOf(body['valuesLists']).length > 0 ? 'VALUES' : 'SELECT';
  draft.kind = 'select';
  walker.walkBody('SelectStmt', body);
  readSetConfig(body, draft, reading);
  const modifies = draft.query.modifies[0];
  if (modifies !== undefined) {
    draft.kind = modifies;
    draft.verb = `WITH ... ${modifies.toUpperCase()}`;
  } else if (draft.query.hasInto) {
    draft.kind = 'ddl';
    draft.verb = 'SELECT INTO';
  } else {
    draft.verb = isAst(body['withClause']) ? `WITH ... ${first}` : first;
  }
}

function readModification(word: 'INSERT' | 'UPDATE' | 'DELETE' | 'MERGE'): Read {
  const tag = `${word.charAt(0)}${word.slice(1).toLowerCase()}Stmt`;
  return (body, draft, walker) => {
    walker.walkBody(tag, body);
    draft.kind = draft.query.modifies[0] ?? 'unknown';
    draft.verb = isAst(body['withClause']) ? `WITH ... ${word}` : word;
  };
}

function readCreateTableAs(body: Ast, draft: Draft, walker: QueryWalker): void {
  const execute = bodyOf(body['query'], 'ExecuteStmt');
  if (execute === undefined) walker.walk(body['query']);
  else {
    draft.name = draft.executes = textOf(execute['name']);
    walker.walk(execute['params']);
  }
  walker.into(astOf(body['into']));
  draft.kind = 'ddl';
  draft.verb = body['objtype'] === 'OBJECT_MATVIEW' ? 'CREATE MATERIALIZED VIEW' : 'CREATE TABLE AS';
}

function readView(body: Ast, draft: Draft, walker: QueryWalker): void {
  walker.walk(body['query']);
  readDefinition('ViewStmt', { ...body, query: undefined }, draft);
}

function readRefresh(body: Ast, draft: Draft, walker: QueryWalker): void {
  walker.target(astOf(body['relation']));
  draft.kind = 'refresh';
  draft.verb = 'REFRESH MATERIALIZED VIEW';
}

function readExplain(body: Ast, draft: Draft, _walker: QueryWalker, reading: Reading): void {
  const cursor = bodyOf(body['query'], 'DeclareCursorStmt');
  // EXPLAIN of DECLARE plans the query and opens no cursor.
  readStatement(cursor === undefined ? body['query'] : cursor['query'], draft, reading);
  draft.isExplain = true;
  if (listOf(body['options']).some((option) => isAnalyze(option, reading))) {
    draft.verb = `EXPLAIN ANALYZE ${draft.verb}`;
    return;
  }
  draft.kind = 'explain';
  draft.verb = 'EXPLAIN';
  draft.onlyPlans();
}

function isAnalyze(option: unknown, reading: Reading): boolean {
  const body = bodyOf(option, 'DefElem');
  if (textOf(body?.['defname'])?.toLowerCase() !== 'analyze') return false;
  const arg = nodeOf(body?.['arg']);
  if (arg === undefined) return true;
  reading.usesConstant();
  const text = (textOf(arg.body['sval']) ?? String(arg.body['ival'] ?? arg.body['boolval'] ?? 0)).toLowerCase();
  return text !== 'false' && text !== 'off' && text !== '0';
}

function readCopy(body: Ast, draft: Draft, walker: QueryWalker): void {
  const isFrom = body['is_from'] === true;
  const relation = body['relation'];
  if (isFrom) walker.target(astOf(relation));
  else if (isAst(relation)) walker.walkBody('RangeVar', relation);
  else walker.walk(body['query']);
  walker.walk(body['whereClause']);
  draft.kind = draft.query.modifies[0] ?? (isFrom ? 'copy-from' : 'copy-to');
  draft.verb = isFrom ? 'COPY FROM' : 'COPY TO';
  if (!isFrom && (body['is_program'] === true || textOf(body['filename']) !== undefined)) {
    // COPY TO a file or program writes on the server: never a read.
    draft.kind = draft.query.modifies[0] ?? 'maintenance';
    draft.verb = body['is_program'] === true ? 'COPY TO PROGRAM' : 'COPY TO file';
  }
}

function readShow(body: Ast, draft: Draft): void {
  draft.kind = 'show';
  draft.verb = 'SHOW';
  draft.shows = canonicalName(textOf(body['name']) ?? '');
}

function readPrepare(body: Ast, draft: Draft, _walker: QueryWalker, reading: Reading): void {
  readStatement(body['query'], draft, reading);
  draft.verb = `PREPARE ${draft.verb}`;
  draft.kind = 'prepare';
  draft.name = textOf(body['name']);
  draft.settings.clear();
}

function readExecute(body: Ast, draft: Draft, walker: QueryWalker): void {
  walker.walk(body['params']);
  named(draft, 'execute', 'EXECUTE', body['name']);
  draft.executes = draft.name;
}

function readDeclare(body: Ast, draft: Draft, walker: QueryWalker): void {
  walker.walk(body['query']);
  named(draft, 'declare', 'DECLARE', body['portalname']);
  const options = body['options'];
  draft.cursor = typeof options === 'number' && (options & CURSOR_OPT_HOLD) !== 0 ? 'hold' : 'no-hold';
}

function readCall(body: Ast, draft: Draft, walker: QueryWalker): void {
  walker.walkBody('FuncCall', astOf(body['funccall']));
  draft.kind = 'call';
  draft.verb = 'CALL';
}

function readTruncate(body: Ast, draft: Draft, walker: QueryWalker): void {
  for (const relation of listOf(body['relations'])) walker.target(astOf(bodyOf(relation, 'RangeVar')));
  draft.kind = 'truncate';
  draft.verb = 'TRUNCATE';
}

function readLock(body: Ast, draft: Draft, walker: QueryWalker): void {
  walker.walk(body['relations']);
  draft.kind = 'lock';
  draft.verb = 'LOCK';
}

function readDiscard(body: Ast, draft: Draft): void {
  draft.discards = DISCARDS[textOf(body['target']) ?? ''];
  if (draft.discards === undefined) throw new UnsupportedSyntax('DISCARD of another kind');
  draft.kind = 'discard';
  draft.verb = `DISCARD ${draft.discards.toUpperCase()}`;
}
