/**
 * Facts of the statements that change the state of a session or transaction: BEGIN and its family, SET, RESET,
 * SET TRANSACTION, set_config() at the top of a SELECT. What cannot be said again as `SET name = value` is
 * unsupported, so the text becomes unknown. Called by extract.ts.
 */
import { astOf, bodyOf, constantOf, listOf, namesOf, nodeOf, textOf } from './ast.ts';
import type { Ast, Constant } from './ast.ts';
import { UnsupportedSyntax } from './draft.ts';
import type { Draft } from './draft.ts';
import type { TransactionVerb } from './facts.ts';
import type { Reading } from './reading.ts';
import { canonicalName, parseBoolean, quoteLiteral, quoteSettingText, TRANSACTION_PARAMETERS } from './settings.ts';

const TRANSACTIONS: Readonly<Record<string, readonly [TransactionVerb, string]>> = {
  TRANS_STMT_BEGIN: ['begin', 'BEGIN'],
  TRANS_STMT_START: ['begin', 'START TRANSACTION'],
  TRANS_STMT_COMMIT: ['commit', 'COMMIT'],
  TRANS_STMT_ROLLBACK: ['rollback', 'ROLLBACK'],
  TRANS_STMT_SAVEPOINT: ['savepoint', 'SAVEPOINT'],
  TRANS_STMT_RELEASE: ['release', 'RELEASE'],
  TRANS_STMT_ROLLBACK_TO: ['rollback-to', 'ROLLBACK TO'],
  TRANS_STMT_PREPARE: ['prepare-transaction', 'PREPARE TRANSACTION'],
  TRANS_STMT_COMMIT_PREPARED: ['commit-prepared', 'COMMIT PREPARED'],
  TRANS_STMT_ROLLBACK_PREPARED: ['rollback-prepared', 'ROLLBACK PREPARED'],
};

export function readTransaction(body: Ast, draft: Draft): void {
  const known = TRANSACTIONS[textOf(body['kind']) ?? ''];
  if (known === undefined) throw new UnsupportedSyntax('a transaction statement of another kind');
  draft.kind = 'transaction';
  [draft.transaction, draft.verb] = known;
  draft.chains = body['chain'] === true;
  draft.name = textOf(body['savepoint_name']);
  const isReadOnly = readModes(body['options'], draft);
  // A hot standby refuses SERIALIZABLE, whether DEFERRABLE or not.
  draft.beginsReadOnly = isReadOnly && draft.transaction === 'begin' && draft.isolation !== 'serializable';
}

/** ISOLATION LEVEL ... and READ ONLY; the last of each counts. Returns whether it is READ ONLY. */
function readModes(options: unknown, draft: Draft): boolean {
  let isReadOnly = false;
  for (const option of listOf(options)) {
    const body = bodyOf(option, 'DefElem');
    const value = constantOf(body?.['arg']);
    switch (textOf(body?.['defname'])) {
      case 'transaction_isolation':
        draft.setIsolation(value?.type === 'text' ? value.text : '');
        break;
      case 'transaction_read_only':
        isReadOnly = value?.type === 'number' && value.text !== '0';
        break;
      case 'transaction_deferrable':
        break;
      default:
        throw new UnsupportedSyntax('a transaction mode of another kind');
    }
  }
  return isReadOnly;
}

export function readSet(body: Ast, draft: Draft, reading: Reading): void {
  const name = canonicalName(textOf(body['name']) ?? '');
  const isLocal = body['is_local'] === true;
  draft.kind = 'set';
  draft.verb = 'SET';
  switch (textOf(body['kind'])) {
    case 'VAR_SET_VALUE':
      setValue(name, listOf(body['args']), isLocal, draft, reading);
      return;
    case 'VAR_SET_DEFAULT':
      change(draft, name, undefined, undefined, isLocal);
      return;
    case 'VAR_RESET':
      draft.verb = 'RESET';
      change(draft, name, undefined, undefined, false);
      return;
    case 'VAR_RESET_ALL':
      draft.verb = 'RESET ALL';
      draft.resetsAll = true;
      return;
    case 'VAR_SET_MULTI':
      setMany(name, body, draft);
      return;
    default:
      throw new UnsupportedSyntax(`SET ${name} FROM CURRENT`);
  }
}

function setValue(name: string, args: readonly unknown[], isLocal: boolean, draft: Draft, reading: Reading): void {
  reading.usesConstant();
  const values: string[] = [];
  const plains: string[] = [];
  for (const arg of args) {
    const constant = nodeOf(arg)?.tag === 'TypeCast' ? offsetOf(arg) : constantOf(arg);
    if (constant === undefined) throw new UnsupportedSyntax(`a value of ${name} that is not a constant`);
    const text = constant.type === 'text' || constant.type === 'number' ? constant.text : '';
    plains.push(text);
    values.push(constant.type === 'number' ? text : quoteLiteral(text));
  }
  change(draft, name, values.join(', '), plains.join(', '), isLocal);
}

/** SET TIME ZONE INTERVAL '-08:00' [HOUR TO MINUTE]: as a number of hours, or not at all. */
function offsetOf(arg: unknown): Constant | undefined {
  const body = bodyOf(arg, 'TypeCast');
  const text = constantOf(body?.['arg']);
  if (namesOf(astOf(body?.['typeName'])['names']).at(-1) !== 'interval' || text?.type !== 'text') return undefined;
  const parts = /^\s*([+-]?)(\d{1,2}):(\d{2})\s*$/.exec(text.text);
  if (parts === null) return undefined;
  const hours = Number(parts[2]) + Number(parts[3]) / 60;
  return { type: 'number', text: String(parts[1] === '-' ? -hours : hours) };
}

/** SET TRANSACTION and SET SESSION CHARACTERISTICS AS TRANSACTION. */
function setMany(name: string, body: Ast, draft: Draft): void {
  if (name === 'transaction' || name === 'transaction snapshot') {
    draft.kind = 'transaction';
    draft.verb = 'SET TRANSACTION';
    draft.transaction = 'set-transaction';
    if (name === 'transaction') readModes(body['args'], draft);
    return;
  }
  if (name !== 'session characteristics') throw new UnsupportedSyntax(`SET ${name}`);
  draft.verb = 'SET SESSION CHARACTERISTICS';
  for (const arg of listOf(body['args'])) {
    const element = bodyOf(arg, 'DefElem');
    const value = constantOf(element?.['arg']);
    const parameter = `default_${textOf(element?.['defname']) ?? ''}`;
    if (value?.type === 'text') change(draft, parameter, quoteLiteral(value.text), value.text, false);
    else if (value?.type === 'number') {
      const flag = value.text === '0' ? 'off' : 'on';
      change(draft, parameter, quoteLiteral(flag), flag, false);
    } else throw new UnsupportedSyntax(`a value of ${parameter} that is not a constant`);
  }
}

/** The parameters of a running transaction are no settings: they end with it and are not to be said again. */
function change(
  draft: Draft,
  name: string,
  value: string | undefined,
  plain: string | undefined,
  isLocal: boolean,
): void {
  if (!TRANSACTION_PARAMETERS.has(name)) {
    draft.settings.push({ name, value, plain, isLocal });
    return;
  }
  if (draft.kind === 'set') {
    draft.kind = 'transaction';
    draft.verb = 'SET TRANSACTION';
    draft.transaction = 'set-transaction';
  }
  if (name === 'transaction_isolation') draft.setIsolation(plain ?? '');
}

/**
 * set_config(name, value, is_local) with constants in the target list of a SELECT that yields exactly one row. Any
 * other call stays in `functions` without a change in `settings`: what it does cannot be followed.
 */
export function readSetConfig(select: Ast, draft: Draft, reading: Reading): void {
  const extra = Object.entries(select).some(
    ([field, value]) => typeof value === 'object' && value !== null && field !== 'targetList',
  );
  if (extra || select['op'] !== 'SETOP_NONE') return;
  for (const item of listOf(select['targetList'])) {
    const call = bodyOf(bodyOf(item, 'ResTarget')?.['val'], 'FuncCall');
    const names = namesOf(call?.['funcname']);
    if (call === undefined || names.at(-1) !== 'set_config' || (names.at(-2) ?? 'pg_catalog') !== 'pg_catalog')
      continue;
    const args = listOf(call['args']);
    const [name, value, local] = args.map(constantOf);
    reading.usesConstant();
    if (args.length !== 3 || name?.type !== 'text') continue;
    const isLocal =
      local?.type === 'text' ? parseBoolean(local.text) : local?.type === 'boolean' ? local.value : undefined;
    if (isLocal === undefined) continue;
    const parameter = canonicalName(name.text);
    if (value?.type === 'null') change(draft, parameter, undefined, undefined, isLocal);
    if (value?.type !== 'text') continue;
    const quoted = quoteSettingText(parameter, value.text);
    if (quoted !== undefined) change(draft, parameter, quoted, value.text, isLocal);
  }
}
