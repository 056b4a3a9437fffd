/**
 * Facts of the statements that change the catalog: kind, verb for display, target relations, and whether these are
 * temporary. Routing and cache treat every such statement as a change of the whole catalog, so an unknown field of the
 * syntax tree does no harm here, unlike in queries. Called by extract.ts.
 */
import { astOf, bodyOf, isAst, listOf, namesOf, nodeOf, textOf } from './ast.ts';
import type { Ast } from './ast.ts';
import { isTemporarySchema } from './draft.ts';
import type { Draft } from './draft.ts';
import type { StatementKind } from './facts.ts';

interface Definition {
  readonly verb: string;
  readonly kind?: StatementKind;
  /** Field with the RangeVar that is made or changed. */
  readonly target?: string;
}

/** By tag. `*` in a verb stands for the type of the object, e.g. DROP * -> DROP MATERIALIZED VIEW. */
const DEFINITIONS: Readonly<Record<string, Definition>> = {
  AlterCollationStmt: { verb: 'ALTER COLLATION' },
  AlterDatabaseRefreshCollStmt: { verb: 'ALTER DATABASE' },
  AlterDatabaseSetStmt: { verb: 'ALTER DATABASE' },
  AlterDatabaseStmt: { verb: 'ALTER DATABASE' },
  AlterDefaultPrivilegesStmt: { verb: 'ALTER DEFAULT PRIVILEGES', kind: 'grant' },
  AlterDomainStmt: { verb: 'ALTER DOMAIN' },
  AlterEnumStmt: { verb: 'ALTER TYPE' },
  AlterEventTrigStmt: { verb: 'ALTER EVENT TRIGGER' },
  AlterExtensionContentsStmt: { verb: 'ALTER EXTENSION' },
  AlterExtensionStmt: { verb: 'ALTER EXTENSION' },
  AlterFdwStmt: { verb: 'ALTER FOREIGN DATA WRAPPER' },
  AlterForeignServerStmt: { verb: 'ALTER SERVER' },
  AlterFunctionStmt: { verb: 'ALTER *' },
  AlterObjectDependsStmt: { verb: 'ALTER *', target: 'relation' },
  AlterObjectSchemaStmt: { verb: 'ALTER *', target: 'relation' },
  AlterOpFamilyStmt: { verb: 'ALTER OPERATOR FAMILY' },
  AlterOperatorStmt: { verb: 'ALTER OPERATOR' },
  AlterOwnerStmt: { verb: 'ALTER *', target: 'relation' },
  AlterPolicyStmt: { verb: 'ALTER POLICY', kind: 'grant', target: 'table' },
  AlterPublicationStmt: { verb: 'ALTER PUBLICATION' },
  AlterRoleSetStmt: { verb: 'ALTER ROLE', kind: 'grant' },
  AlterRoleStmt: { verb: 'ALTER ROLE', kind: 'grant' },
  AlterSeqStmt: { verb: 'ALTER SEQUENCE', target: 'sequence' },
  AlterStatsStmt: { verb: 'ALTER STATISTICS' },
  AlterSubscriptionStmt: { verb: 'ALTER SUBSCRIPTION' },
  AlterSystemStmt: { verb: 'ALTER SYSTEM' },
  AlterTSConfigurationStmt: { verb: 'ALTER TEXT SEARCH CONFIGURATION' },
  AlterTSDictionaryStmt: { verb: 'ALTER TEXT SEARCH DICTIONARY' },
  AlterTableMoveAllStmt: { verb: 'ALTER *' },
  AlterTableSpaceOptionsStmt: { verb: 'ALTER TABLESPACE' },
  AlterTableStmt: { verb: 'ALTER *', target: 'relation' },
  AlterTypeStmt: { verb: 'ALTER TYPE' },
  AlterUserMappingStmt: { verb: 'ALTER USER MAPPING' },
  CommentStmt: { verb: 'COMMENT' },
  CompositeTypeStmt: { verb: 'CREATE TYPE' },
  CreateAmStmt: { verb: 'CREATE ACCESS METHOD' },
  CreateCastStmt: { verb: 'CREATE CAST' },
  CreateConversionStmt: { verb: 'CREATE CONVERSION' },
  CreateDomainStmt: { verb: 'CREATE DOMAIN' },
  CreateEnumStmt: { verb: 'CREATE TYPE' },
  CreateEventTrigStmt: { verb: 'CREATE EVENT TRIGGER' },
  CreateExtensionStmt: { verb: 'CREATE EXTENSION' },
  CreateFdwStmt: { verb: 'CREATE FOREIGN DATA WRAPPER' },
  CreateForeignServerStmt: { verb: 'CREATE SERVER' },
  CreateForeignTableStmt: { verb: 'CREATE FOREIGN TABLE' },
  CreateFunctionStmt: { verb: 'CREATE FUNCTION' },
  CreateOpClassStmt: { verb: 'CREATE OPERATOR CLASS' },
  CreateOpFamilyStmt: { verb: 'CREATE OPERATOR FAMILY' },
  CreatePLangStmt: { verb: 'CREATE LANGUAGE' },
  CreatePolicyStmt: { verb: 'CREATE POLICY', kind: 'grant', target: 'table' },
  CreatePublicationStmt: { verb: 'CREATE PUBLICATION' },
  CreateRangeStmt: { verb: 'CREATE TYPE' },
  CreateRoleStmt: { verb: 'CREATE ROLE', kind: 'grant' },
  CreateSchemaStmt: { verb: 'CREATE SCHEMA' },
  CreateSeqStmt: { verb: 'CREATE SEQUENCE', target: 'sequence' },
  CreateStatsStmt: { verb: 'CREATE STATISTICS' },
  CreateStmt: { verb: 'CREATE TABLE', target: 'relation' },
  CreateSubscriptionStmt: { verb: 'CREATE SUBSCRIPTION' },
  CreateTableSpaceStmt: { verb: 'CREATE TABLESPACE' },
  CreateTransformStmt: { verb: 'CREATE TRANSFORM' },
  CreateTrigStmt: { verb: 'CREATE TRIGGER', target: 'relation' },
  CreateUserMappingStmt: { verb: 'CREATE USER MAPPING' },
  CreatedbStmt: { verb: 'CREATE DATABASE' },
  DefineStmt: { verb: 'CREATE *' },
  DropOwnedStmt: { verb: 'DROP OWNED' },
  DropRoleStmt: { verb: 'DROP ROLE', kind: 'grant' },
  DropStmt: { verb: 'DROP *' },
  DropSubscriptionStmt: { verb: 'DROP SUBSCRIPTION' },
  DropTableSpaceStmt: { verb: 'DROP TABLESPACE' },
  DropUserMappingStmt: { verb: 'DROP USER MAPPING' },
  DropdbStmt: { verb: 'DROP DATABASE' },
  GrantRoleStmt: { verb: 'GRANT', kind: 'grant' },
  GrantStmt: { verb: 'GRANT', kind: 'grant' },
  ImportForeignSchemaStmt: { verb: 'IMPORT FOREIGN SCHEMA' },
  IndexStmt: { verb: 'CREATE INDEX', target: 'relation' },
  ReassignOwnedStmt: { verb: 'REASSIGN OWNED' },
  ReindexStmt: { verb: 'REINDEX', target: 'relation' },
  RenameStmt: { verb: 'ALTER *', target: 'relation' },
  RuleStmt: { verb: 'CREATE RULE', target: 'relation' },
  SecLabelStmt: { verb: 'SECURITY LABEL' },
  ViewStmt: { verb: 'CREATE VIEW', target: 'view' },
};

/** DROP and COMMENT name their objects by plain lists of names; these are relations ... */
const RELATION_TYPES = /^OBJECT_(?:TABLE|VIEW|MATVIEW|INDEX|SEQUENCE|FOREIGN_TABLE)$/;
/** ... and these belong to one, whose name stands before theirs. */
const PART_TYPES = /^OBJECT_(?:COLUMN|POLICY|RULE|TABCONSTRAINT|TRIGGER)$/;

/** @returns false if `tag` is no such statement; `draft` is then unchanged */
export function readDefinition(tag: string, body: Ast, draft: Draft): boolean {
  const definition = Object.hasOwn(DEFINITIONS, tag) ? DEFINITIONS[tag] : undefined;
  if (definition === undefined) return false;
  const type = typeOf(body);
  draft.kind = type === 'OBJECT_POLICY' ? 'grant' : (definition.kind ?? 'ddl');
  const verb = body['is_procedure'] === true ? 'CREATE PROCEDURE' : definition.verb;
  draft.verb = verb.replace('*', (type ?? '').replace('OBJECT_', '').replaceAll('_', ' '));
  if (draft.verb.endsWith('MATVIEW')) draft.verb = draft.verb.replace('MATVIEW', 'MATERIALIZED VIEW');
  if (body['is_grant'] !== true && definition.verb === 'GRANT') draft.verb = 'REVOKE';
  const target =
    definition.target === undefined ? astOf(astOf(body['base'])['relation']) : astOf(body[definition.target]);
  if (textOf(target['relname']) !== undefined) noteTarget(target, draft);
  readObjectNames(
    type ?? '',
    tag === 'CommentStmt' || tag === 'SecLabelStmt' ? [body['object']] : body['objects'],
    draft,
  );
  if (body['oncommit'] === 'ONCOMMIT_DROP') draft.temporary.isDroppedOnCommit = true;
  draft.name = storedName(body);
  readMentions(body, target, draft);
  return true;
}

/** ALTER ROLE, DATABASE or SYSTEM ... SET: the name. RESET takes away what a server has got without Weir. */
function storedName(body: Ast): string | undefined {
  const set = bodyOf(body['setstmt'], 'VariableSetStmt') ?? astOf(body['setstmt']);
  return textOf(set['kind']) === 'VAR_SET_VALUE' ? textOf(set['name'])?.toLowerCase() : undefined;
}

function typeOf(body: Ast): string | undefined {
  // ALTER TABLE ... RENAME COLUMN renames a column of a relation of that type.
  const isPart = /^OBJECT_(?:COLUMN|ATTRIBUTE|TABCONSTRAINT)$/.test(textOf(body['renameType']) ?? '');
  const renamed = isPart ? body['relationType'] : body['renameType'];
  return textOf(body['removeType'] ?? renamed ?? body['objectType'] ?? body['objtype'] ?? body['kind']);
}

function noteTarget(relation: Ast, draft: Draft): void {
  draft.addWrite(textOf(relation['schemaname']), textOf(relation['relname']) ?? '');
  if (relation['relpersistence'] === 't') draft.temporary.isCreated = true;
}

function readObjectNames(type: string, objects: unknown, draft: Draft): void {
  const isPart = PART_TYPES.test(type);
  if (!isPart && !RELATION_TYPES.test(type)) return;
  for (const object of listOf(objects)) {
    const names = namesOf(bodyOf(object, 'List')?.['items']);
    if (isPart) names.pop();
    const name = names.at(-1);
    if (name !== undefined) draft.addWrite(names.at(-2), name);
    else if (nodeOf(object)?.tag === 'RangeVar') noteTarget(astOf(nodeOf(object)?.body), draft);
  }
}

/** pg_temp in the SET clause of a function or role creates no temporary object. */
const settingClauses: ReadonlySet<string> = new Set(['VariableSetStmt', 'setstmt']);

/** Counts every relation but the target as read, and any name in pg_temp as a temporary object. */
function readMentions(value: unknown, target: Ast, draft: Draft): void {
  if (value === target) return;
  if (value === 'pg_temp' || (typeof value === 'string' && isTemporarySchema(value))) draft.temporary.isCreated = true;
  if (Array.isArray(value)) for (const item of value) readMentions(item, target, draft);
  if (!isAst(value)) return;
  const name = textOf(value['relname']);
  if (name !== undefined && 'relpersistence' in value) draft.names.addRead(textOf(value['schemaname']), name);
  for (const [field, part] of Object.entries(value)) if (!settingClauses.has(field)) readMentions(part, target, draft);
}
