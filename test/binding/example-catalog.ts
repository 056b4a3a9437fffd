/**
 * An example catalog and the real classifier, for the tests of binding.
 */
import { createBinder } from '../../src/binding/binder.ts';
import type { BinderOptions } from '../../src/binding/binder.ts';
import type { Binder, Plan } from '../../src/binding/plan.ts';
import { createClassifier } from '../../src/sql/classifier.ts';
import type { QueryFacts } from '../../src/sql/facts.ts';
import type { TypeFacts } from '../../src/catalog/casts.ts';
import type { Catalog, CatalogFunction, CatalogRelation, Volatility } from '../../src/catalog/types.ts';
import { createCatalog } from '../../src/catalog/snapshot.ts';

const classifier = await createClassifier();

export function factsOf(sql: string): QueryFacts {
  return classifier.classify(Buffer.from(sql)).facts;
}

export function relation(oid: number, name: string, more: Partial<CatalogRelation> = {}): CatalogRelation {
  return {
    oid,
    schema: 'public',
    name,
    kind: 'table',
    persistence: 'permanent',
    hasRowSecurity: false,
    root: oid,
    viewRelations: [],
    viewFunctions: [],
    viewProblems: [],
    viewSettings: [],
    cascadesTo: [],
    updatesTo: [],
    referencedBy: [],
    triggerFunctions: [],
    writeFunctions: [],
    hasRules: false,
    asksSequences: false,
    isSystem: false,
    treeProblem: undefined,
    ...more,
  };
}

export function fn(
  oid: number,
  name: string,
  volatility: Volatility,
  more: Partial<CatalogFunction> = {},
): CatalogFunction {
  return {
    oid,
    schema: oid < 16384 ? 'pg_catalog' : 'public',
    name,
    volatility,
    language: oid < 16384 ? 'internal' : 'plpgsql',
    minArgs: 0,
    maxArgs: Infinity,
    isProcedure: false,
    isSystem: oid < 16384,
    isHarmless: false,
    mayDefine: false,
    leavesState: false,
    asksSequences: false,
    asksSettings: [],
    body: 'BEGIN RETURN 1; END',
    parts: [],
    ...more,
  };
}

const BUILTIN: Readonly<Record<Volatility, string>> = {
  immutable: 'lower upper count sum length substring coalesce abs',
  stable: `now to_char date_trunc json_agg current_setting current_database txid_current pg_typeof version age to_regclass
    pg_current_xact_id inet_server_addr pg_backend_pid has_table_privilege obj_description`,
  volatile: `random clock_timestamp gen_random_uuid pg_sleep nextval setval currval lastval set_config pg_advisory_lock
    pg_try_advisory_lock pg_advisory_xact_lock pg_advisory_unlock pg_advisory_unlock_all pg_notify lo_create
    query_to_xml pg_is_in_recovery pg_current_wal_lsn pg_relation_size setseed pg_terminate_backend`,
};

const RELATIONS: readonly CatalogRelation[] = [
  relation(20001, 'users', { cascadesTo: [20002, 20003], updatesTo: [20002], referencedBy: [20002, 20003, 20004] }),
  relation(20002, 'orders', { cascadesTo: [20005], referencedBy: [20005] }),
  relation(20003, 'carts', { referencedBy: [20004] }),
  relation(20004, 'strict'),
  relation(20005, 'lines'),
  relation(20010, 'events', { kind: 'partitioned' }),
  relation(20011, 'events_1', { root: 20010 }),
  relation(20012, 'mixed', { kind: 'partitioned', treeProblem: 'has the unlogged child public.m1' }),
  relation(20020, 'v', { kind: 'view', viewRelations: [20001] }),
  relation(20021, 'vv', { kind: 'view', viewRelations: [20020, 20002], viewFunctions: [1001] }),
  relation(20022, 'v_time', { kind: 'view', viewRelations: [20001], viewProblems: ['value function'] }),
  relation(20023, 'v_writer', { kind: 'view', viewFunctions: [30003] }),
  relation(20024, 'v_loop', { kind: 'view', viewRelations: [20024, 20001] }),
  relation(20025, 'v_gone', { kind: 'view', viewRelations: [99999] }),
  relation(20026, 'm', { kind: 'matview', viewRelations: [20001] }),
  relation(20027, 'v_lock', { kind: 'view', viewRelations: [20001], viewProblems: ['locks rows'] }),
  relation(20028, 'm_writer', { kind: 'matview', viewRelations: [20001], viewFunctions: [30003] }),
  relation(20030, 'secrets', { hasRowSecurity: true, viewSettings: ['app.tenant'] }),
  relation(20029, 'v_port', { kind: 'view', viewRelations: [20001], viewSettings: ['port'] }),
  relation(20034, 'v_tenant', { kind: 'view', viewRelations: [20001], viewSettings: ['app.tenant'] }),
  relation(20031, 'scratch', { persistence: 'unlogged' }),
  relation(20032, 'elsewhere', { kind: 'foreign' }),
  relation(20033, 'numbers', { kind: 'sequence' }),
  relation(20040, 'touched', { triggerFunctions: [30010] }),
  relation(20041, 'audited', { triggerFunctions: [30011] }),
  relation(20042, 'vouched_trigger', { triggerFunctions: [30005] }),
  relation(20043, 'ruled', { hasRules: true }),
  relation(20044, 'keyed', { triggerFunctions: [30006] }),
  relation(20050, 'users', { schema: 'tenant' }),
  relation(1259, 'pg_class', { schema: 'pg_catalog', isSystem: true }),
  relation(13000, 'tables', { schema: 'information_schema', kind: 'view', isSystem: true }),
];

const USER_FUNCTIONS: readonly CatalogFunction[] = [
  fn(30001, 'f_imm', 'immutable'),
  fn(30002, 'f_stb', 'stable'),
  fn(30003, 'f_vol', 'volatile'),
  fn(30004, 'f_two', 'immutable', { minArgs: 1, maxArgs: 1 }),
  fn(30014, 'f_two', 'volatile', { minArgs: 2, maxArgs: 2 }),
  fn(30005, 'f_vouched', 'volatile'),
  fn(30006, 'uuid_generate_v4', 'volatile', { language: 'c' }),
  fn(30007, 'p', 'volatile', { isProcedure: true, mayDefine: true }),
  fn(30008, 'f_ddl', 'volatile', { mayDefine: true }),
  fn(30009, 'lower', 'volatile', { schema: 'evil' }),
  fn(30010, 't_touch', 'volatile', { isHarmless: true }),
  fn(30011, 't_audit', 'volatile'),
];

export const PREFIX = '77.5:';

export interface ExampleCatalogOptions {
  readonly hidden?: readonly CatalogFunction[];
  readonly columnFunctions?: readonly CatalogFunction[];
  readonly functions?: readonly CatalogFunction[];
}

export function exampleCatalog(options: ExampleCatalogOptions = {}): Catalog {
  const functions = [...USER_FUNCTIONS, ...(options.functions ?? [])];
  let oid = 1000;
  for (const volatility of ['immutable', 'stable', 'volatile'] as const) {
    for (const name of BUILTIN[volatility].split(/\s+/)) functions.push(fn(oid++, name, volatility));
  }
  const byName = new Map<string, Map<string, CatalogFunction[]>>();
  for (const one of functions) {
    const names = byName.get(one.schema) ?? new Map<string, CatalogFunction[]>();
    byName.set(one.schema, names.set(one.name, [...(names.get(one.name) ?? []), one]));
  }
  const type = (name: string, volatility: Volatility, isKeyed: boolean): [string, TypeFacts] => {
    const isMoment = name === 'timestamptz';
    return [name, { oid: 0, volatility, isKeyed, isMoment, isPlain: isMoment || name === 'int4' }];
  };
  return createCatalog({
    tagPrefix: PREFIX,
    version: 1,
    searchPath: '"$user", public',
    sessionDefaults: {
      key: '',
      of: (user) => new Map(user === 'tenant_user' ? [['search_path', 'tenant']] : []),
      plain: new Map(),
    },
    relations: new Map(RELATIONS.map((one) => [one.oid, one])),
    functions: {
      system: { version: '', all: [] },
      byOid: new Map(functions.map((one) => [one.oid, one])),
      byName,
      columnFunctions: options.columnFunctions ?? [],
    },
    types: {
      byOid: new Map(),
      volatile: new Map(),
      moments: new Set(),
      casting: new Map(),
      checking: new Map(),
      byName: new Map([
        [
          'pg_catalog',
          new Map([
            type('int4', 'immutable', true),
            type('timestamptz', 'stable', true),
            type('regclass', 'stable', false),
          ]),
        ],
        ['public', new Map([type('mood', 'stable', true), type('noisy', 'volatile', false)])],
      ]),
    },
    plainColumns: new Set(['id', 'created']),
    volatileRowTypes: new Set(),
    checkedTypes: new Set(),
    checkedRowTypes: new Set(),
    operators: {
      all: new Map<string, Volatility>([
        ['+', 'stable'],
        ['||', 'stable'],
        ['@!@', 'volatile'],
        ['@?@', 'stable'],
      ]),
      user: new Map<string, Volatility>([
        ['@!@', 'volatile'],
        ['@?@', 'stable'],
      ]),
      functions: new Map(),
    },
    hiddenFunctions: options.hidden ?? [],
    assignmentFunctions: options.hidden ?? [],
    notes: [],
  });
}

export const catalog = exampleCatalog();

export function binderOf(options: Partial<BinderOptions> = {}): Binder {
  return createBinder({ readOnlyFunctions: ['f_vouched'], cacheTables: [], ...options });
}

const binder = binderOf();

export function planOf(sql: string, searchPath?: string, user = 'app'): Plan {
  return binder.bind(factsOf(sql), catalog, searchPath, user);
}

/** Names of the relations that a plan writes, '*' for everything. */
export function writesOf(plan: Plan): string[] {
  if (plan.writesAll) return ['*'];
  return plan.writes.map((tag) => catalog.nameOf(Number(tag.slice(PREFIX.length + 1))).replace('public.', '')).sort();
}
