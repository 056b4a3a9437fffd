/**
 * Facts of the statements that change the state of a session or transaction: BEGIN, COMMIT and the like, SET, RESET, SET
 * TRANSACTION, and set_config() in the target list of a SELECT. A SET that cannot be replayed as `SET name = value` is
 * unsupported, so the text becomes unknown. Called by extract.ts.
 */
import { astOf, bodyOf, constantOf, isAst, listOf, namesOf, nodeOf, textOf } from './ast.ts';
import type { Ast, Constant } from './ast.ts';
import { UnsupportedSyntax } from './draft.ts';
import type { Draft } from './draft.ts';
import type { BoundSetting, SettingArgument, TransactionVerb } from './facts.ts';
import type { Reading } from './reading.ts';
import { canonicalName, quoteLiteral, settingOf, TRANSACTION_PARAMETERS } from './settings.ts';

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
  const [verb, words] = known;
  draft.kind = 'transaction';
  draft.verb = words;
  draft.name = textOf(body['savepoint_name']);
  const isReadOnly = readModes(body['options'], draft);
  draft.transaction = { verb, isReadOnly, isChained: body['chain'] === true };
}

/**
 * Reads ISOLATION LEVEL, READ ONLY and READ WRITE; the last of each counts.
 * @returns whether the transaction is READ ONLY and a hot standby accepts it: a standby refuses SERIALIZABLE and READ WRITE
 *   even if another mode follows
 */
function readModes(options: unknown, draft: Draft): boolean {
  let isReadOnly = false;
  let isRefused = false;
  for (const option of listOf(options)) {
    const body = bodyOf(option, 'DefElem');
    const value = constantOf(body?.['arg']);
    switch (textOf(body?.['defname'])) {
      case 'transaction_isolation':
        draft.setIsolation(value?.type === 'text' ? value.text : '');
        isRefused ||= draft.isolation === 'serializable';
        break;
      case 'transaction_read_only':
        isReadOnly = value?.type === 'number' && value.text !== '0';
        isRefused ||= !isReadOnly;
        break;
      case 'transaction_deferrable':
        break;
      default:
        throw new UnsupportedSyntax('a transaction mode of another kind');
    }
  }
  return isReadOnly && !isRefused;
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
      draft.settings.resetsAll = true;
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

/** SET TIME ZONE INTERVAL '-08:00' [HOUR TO MINUTE]: the offset in hours; undefined if it cannot be read. */
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
    setTransaction(draft);
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

function setTransaction(draft: Draft): void {
  draft.kind = 'transaction';
  draft.verb = 'SET TRANSACTION';
  draft.transaction = { verb: 'set-transaction', isReadOnly: false, isChained: false };
}

/** Parameters of the running transaction are not noted as settings: they end with it and must not be replayed. */
function change(
  draft: Draft,
  name: string,
  value: string | undefined,
  plain: string | undefined,
  isLocal: boolean,
): void {
  if (!TRANSACTION_PARAMETERS.has(name)) {
    draft.settings.changes.push({ name, value, plain, isLocal });
    return;
  }
  if (draft.kind === 'set') setTransaction(draft);
  if (name === 'transaction_isolation') draft.setIsolation(plain ?? '');
}

/**
 * set_config(name, value, is_local) in the target list of a SELECT that yields exactly one row, with constants or with
 * parameters. Or, as pgAdmin writes it, as the only target of a SELECT with FROM: it was then called if there is a row.
 * Any other call is in `functions` without a change in `settings`: its effect is unknown.
 */
export function readSetConfig(select: Ast, draft: Draft, reading: Reading): void {
  const parts = Object.entries(select)
    .filter(([field, value]) => typeof value === 'object' && value !== null && field !== 'targetList')
    .map(([field]) => field);
  if (parts.some((part) => part !== 'fromClause' && part !== 'whereClause') || select['op'] !== 'SETOP_NONE') return;
  const targets = listOf(select['targetList']);
  const calls: (BoundSetting | undefined)[] = [];
  for (const item of targets) {
    const call = bodyOf(bodyOf(item, 'ResTarget')?.['val'], 'FuncCall');
    const names = namesOf(call?.['funcname']);
    if (call === undefined || names.at(-1) !== 'set_config' || (names.at(-2) ?? 'pg_catalog') !== 'pg_catalog')
      continue;
    reading.usesConstant();
    calls.push(readCall(listOf(call['args'])));
  }
  if (calls.length === 0 || (parts.length > 0 && calls.length < targets.length)) return;
  const isPlain = (call: BoundSetting | undefined): boolean => call === undefined || parametersOf(call).length === 0;
  if (calls.every(isPlain)) {
    for (const call of calls) {
      const setting = call === undefined ? undefined : settingOf(call);
      if (setting !== undefined) change(draft, setting.name, setting.value, setting.plain, setting.isLocal);
    }
    return;
  }
  const followed = calls.filter((call) => call !== undefined);
  const isWhole =
    followed.length === draft.names.callsOf('set_config').length &&
    // A parameter that is also used elsewhere may have another type than text there.
    countParameters(select) === followed.flatMap(parametersOf).length;
  if (isWhole) draft.settings.bound = followed;
}

function readCall(args: readonly unknown[]): BoundSetting | undefined {
  const name = argumentOf(args[0], TEXT_TYPES);
  const value = argumentOf(args[1], TEXT_TYPES);
  const isLocal = argumentOf(args[2], BOOLEAN_TYPES);
  if (args.length !== 3 || name === undefined || value === undefined || isLocal === undefined) return undefined;
  return { name, value, isLocal };
}

const TEXT_TYPES: ReadonlySet<string> = new Set(['text', 'varchar']);
const BOOLEAN_TYPES: ReadonlySet<string> = new Set(['bool']);

/** A constant, or a parameter that has no cast or a cast to one of `types`. */
function argumentOf(arg: unknown, types: ReadonlySet<string>): SettingArgument | undefined {
  const cast = bodyOf(arg, 'TypeCast');
  const parameter = bodyOf(cast === undefined ? arg : cast['arg'], 'ParamRef');
  if (parameter === undefined) return constantTextOf(arg, types);
  if (cast !== undefined) {
    const type = astOf(cast['typeName']);
    if (!types.has(namesOf(type['names']).at(-1) ?? '') || listOf(type['typmods']).length > 0) return undefined;
    if (listOf(type['arrayBounds']).length > 0) return undefined;
  }
  const { number } = parameter;
  return typeof number === 'number' && number > 0 ? number : undefined;
}

function constantTextOf(arg: unknown, types: ReadonlySet<string>): SettingArgument | undefined {
  const constant = constantOf(arg);
  if (constant?.type === 'null') return null;
  if (constant?.type === 'text') return constant.text;
  return constant?.type === 'boolean' && types === BOOLEAN_TYPES ? String(constant.value) : undefined;
}

function parametersOf({ name, value, isLocal }: BoundSetting): number[] {
  return [name, value, isLocal].filter((one) => typeof one === 'number');
}

function countParameters(tree: unknown): number {
  if (Array.isArray(tree)) return tree.reduce<number>((sum, item) => sum + countParameters(item), 0);
  if (!isAst(tree)) return 0;
  if (bodyOf(tree, 'ParamRef') !== undefined) return 1;
  return Object.values(tree).reduce<number>((sum, item) => sum + countParameters(item), 0);
}
