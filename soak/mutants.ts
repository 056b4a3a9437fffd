/**
 * The rules of docs/consistency.md, each taken out by a change of text in the build while a Weir loads it (mutate.mjs), with
 * the run that has to notice. Tests only: nothing in Weir knows of it. A text that is not found ends that Weir.
 */
import type { Table } from './model.ts';
import type { Change, Mutant } from './mutant.ts';

const usual = {
  world: 'alone',
  kinds: ['simple', 'extended', 'transaction'],
  forms: ['table', 'view'],
  faults: [],
} as const satisfies Partial<Mutant>;

/** What it is about happens within one process: with several, the clients that it takes seldom come to the same one. */
const inOneProcess = { ...usual, config: { workers: 1 } } as const satisfies Partial<Mutant>;

/** Each writes its own tables and nothing else, so that answers of the others live for a while. */
const singly = ['simple', 'two statements in one Query', 'partitioned', 'parent of a child', 'copy'];

const tablesOfSingly: readonly Table[] = ['plain', 'pair_a', 'pair_b', 'part', 'inherited', 'copied'];

/**
 * What is read is of the primary or of a cache, and so never older than a lease. A session lives for one read: who has read a table
 * from a database is shown nothing older (rule 12), and makes its Weir ask Redis, which tells it what it has missed. One writer, for
 * what a Weir writes itself it knows.
 */
const leased = {
  world: 'shared',
  kinds: singly,
  // Few questions: each answer is in every cache before a fault begins.
  forms: ['view'],
  tables: tablesOfSingly,
  isPrimaryOnly: true,
  // It is about what several Weirs owe each other: workers of one tell each other more.
  config: { workers: 1, cache: { lease: '500ms' } },
  boundMs: 550,
  readers: Array.from({ length: 12 }, () => 'session' as const),
  sessionBatches: 1,
  batchReads: 1,
  writers: 1,
  pauseMs: 600,
} as const satisfies Partial<Mutant>;

/** Redis confirms each cached answer: what is shown is wrong as soon as it is old at all. */
const asked = {
  forms: ['table', 'view'],
  readers: Array.from({ length: 12 }, () => 'strict' as const),
  sessionBatches: 2_000,
  batchReads: 8,
  writers: 3,
  pauseMs: 1_000,
} as const satisfies Partial<Mutant>;

/** A session in a transaction asks the cache, too, and does with what it has `found` as it is told. */
const inTransactions = (what: string): Change[] => [
  { file: 'request/cacheable.js', from: 'if (session.status !== TxStatus.Idle)', to: 'if (false)' },
  {
    file: 'request/handle-request.js',
    from: 'import { cacheObstacle }',
    to: "import { Capture } from '../cache/capture.js';\nimport { cacheKey, cacheObstacle, cacheTags, cacheTtlMs }",
  },
  {
    file: 'request/handle-request.js',
    from: "request.cache.why = 'the session keeps its server';",
    to: `if (session.status === TxStatus.InTransaction && cacheObstacle(session, request) === '') {
      const { cache } = session.services;
      const { seen } = session.concerns.freshness;
      const { ticker } = session.database.topology;
      const found = cache.lookup(cacheKey(session, request), cacheTags(session, request), cacheTtlMs(session, request), seen, ticker);
      ${what}
    }`,
  },
];

export const mutants: readonly Mutant[] = [
  {
    ...usual,
    rule: 1,
    name: 'stamps are not checked',
    changes: [{ file: 'cache/cache.js', from: 'this.parts.isCurrent(entry.states, entry.stamps) &&', to: 'true &&' }],
  },
  {
    ...usual,
    rule: 2,
    name: 'nothing is closed before a commit',
    changes: [
      { file: 'cache/guard.js', from: 'state.closed++;', to: '' },
      { file: 'cache/guard.js', from: 'state.closed--;', to: '' },
      { file: 'cache/guard.js', from: 'if (rules.peers === undefined || this.held.length === 0)', to: 'if (true)' },
    ],
    kinds: singly,
    forms: ['table', 'uncached'],
    faults: ['slow-primary'],
    pauseMs: 3_000,
  },
  {
    ...usual,
    rule: 2,
    name: 'a commit gives no new stamps',
    changes: [{ file: 'cache/guard.js', from: 'this.open(true)', to: 'this.open(false)' }],
  },
  {
    ...usual,
    rule: 2,
    name: 'an unknown outcome is taken for a rollback',
    changes: [
      {
        file: 'cache/guard.js',
        from: 'unknown(whenDecided) {',
        to: 'unknown(whenDecided) { return this.rolledBack();',
      },
    ],
    kinds: ['slow', 'simple'],
    faults: ['cut-primary'],
  },
  {
    ...usual,
    rule: 3,
    name: 'how far a replica is does not matter',
    changes: [
      { file: 'session/concerns/tokens.js', from: 'return later(own, lsnOf(ticker, tagTick));', to: 'return 0;' },
      { file: 'cache/flights.js', from: 'needLsn() {', to: 'needLsn() { return 0;' },
    ],
    faults: ['pause-replay'],
  },
  {
    ...usual,
    rule: 3,
    name: 'only own writes matter',
    changes: [
      { file: 'session/concerns/tokens.js', from: 'return later(own, lsnOf(ticker, tagTick));', to: 'return own;' },
      { file: 'cache/flights.js', from: 'needLsn() {', to: 'needLsn() { return 0;' },
    ],
    faults: ['pause-replay'],
  },
  {
    ...inOneProcess,
    rule: 4,
    name: 'a flight is joined whatever was written since',
    changes: [
      {
        file: 'cache/flights.js',
        from: 'return isSameSet(plan.set.states, set.states) && isCurrent(plan.set.states, plan.stamps);',
        to: 'return true;',
      },
      { file: 'cache/fills.js', from: 'if (!this.options.parts.isCurrent(set.states, stamps))', to: 'if (false)' },
      {
        file: 'cache/cache.js',
        from: 'if (entry === undefined || !this.mayShow(entry,',
        to: 'if (entry === undefined || (() => false)(entry,',
      },
    ],
    kinds: ['simple'],
    forms: ['heavy'],
    // Each writer has one row, and a read of it takes as long as several writes: mostly one is under way when the row is written.
    heavyRows: 200_000,
    writers: 2,
    pauseMs: 100,
  },
  {
    ...leased,
    rule: 5,
    name: 'what was learned outlives the connection to Redis',
    changes: [{ file: 'cache/redis-sync.js', from: 'if (this.options.rules.keepsTrust)', to: 'if (true)' }],
    faults: ['cut-redis'],
  },
  {
    ...usual,
    rule: 6,
    name: 'answers live for ever',
    changes: [
      { file: 'cache/store.js', from: '&& nowMs - filledAtMs < ttlMs', to: '' },
      { file: 'cache/fills.js', from: 'Math.min(plan.ttlMs, ', to: 'Math.min(Infinity, ' },
    ],
  },
  {
    ...usual,
    rule: 7,
    name: 'what triggers, rules and foreign keys write is not followed',
    changes: [
      { file: 'binding/writes.js', from: "push(relation.updatesTo, 'deletes')", to: "push([], 'deletes')" },
      { file: 'binding/writes.js', from: 'if (relation.hasRules)', to: 'if (false)' },
      {
        file: 'binding/writes.js',
        from: 'for (const oid of relation.triggerFunctions) {',
        to: 'for (const oid of []) {',
      },
    ],
    kinds: ['trigger', 'rule', 'cascade', 'deferred trigger'],
  },
  {
    ...usual,
    rule: 7,
    name: 'partitions are tables of their own',
    changes: [
      {
        file: 'binding/writes.js',
        from: 'closure.roots.add(relation.root);',
        to: 'closure.roots.add(relation.oid);',
      },
    ],
    kinds: ['partition itself', 'child of a parent'],
  },
  {
    ...usual,
    rule: 8,
    name: 'views are not followed',
    changes: [
      {
        file: 'binding/reach.js',
        from: 'for (const oid of relation.viewRelations) {',
        to: 'for (const oid of []) {',
      },
      { file: 'binding/statement.js', from: "return hasTable ? '' : 'reads no table';", to: "return '';" },
    ],
    faults: ['pause-replay'],
  },
  {
    ...usual,
    rule: 9,
    name: 'settings are not part of the key',
    changes: [
      {
        file: 'cache/key.js',
        from: 'export function fullKey(key) {',
        to: "export function fullKey(key) { key = { ...key, settings: '' };",
      },
    ],
    forms: ['zoned'],
  },
  {
    ...usual,
    rule: 10,
    name: 'answers of this moment are kept',
    changes: [
      { file: 'binding/reached.js', from: 'refuseCache(reason) {', to: 'refuseCache(reason) { return;' },
      { file: 'binding/statement.js', from: "return hasTable ? '' : 'reads no table';", to: "return '';" },
    ],
    forms: ['moment'],
  },
  {
    ...inOneProcess,
    rule: 11,
    name: 'transactions are answered from the cache',
    changes: inTransactions(`
      if (found.kind === 'hit') {
        for (const part of found.parts) session.say(part);
        request.cache.label = 'hit';
        session.wasAnswered(request);
        session.intake.entered(request);
        session.move(request, 'answered by Weir');
        return 'done';
      }
      if (found.kind === 'miss') found.flight?.abandon();`),
    forms: ['table', 'read only'],
  },
  {
    ...inOneProcess,
    rule: 11,
    name: 'what transactions read is kept',
    changes: [
      ...inTransactions(`
      if (found.kind === 'miss' && found.flight !== undefined) {
        request.cache.flight = found.flight;
        request.cache.capture = new Capture(session.services.maxEntrySizeBytes());
      }`),
      { file: 'session/concerns/freshness.js', from: '!capture.overflow && isIdle', to: '!capture.overflow' },
    ],
    forms: ['table', 'read only'],
  },
  {
    ...usual,
    rule: 12,
    name: 'what a session has read does not matter to the cache',
    changes: [{ file: 'cache/cache.js', from: 'freshness.accepts(', to: '(() => true)(' }],
    world: 'shared',
    kinds: singly,
    forms: ['table', 'uncached'],
    faults: ['late-redis'],
    pauseMs: 600,
  },
  {
    ...usual,
    rule: 12,
    name: 'a session goes to any replica',
    changes: [{ file: 'session/concerns/tokens.js', from: 'moveLsn(ticker) {', to: 'moveLsn(ticker) { return 0;' }],
    faults: ['pause-replay'],
  },
  {
    ...usual,
    rule: 13,
    name: 'a write wrote what the catalog said',
    changes: [{ file: 'cache/freshness.js', from: 'this.wroteAt = order;', to: '' }],
    kinds: ['trigger made around Weir'],
    pauseMs: 3_000,
  },
  {
    ...leased,
    rule: 14,
    name: 'cached answers are shown without a lease',
    changes: [{ file: 'cache/cache.js', from: 'this.peers === undefined || parts.ignoresLease', to: 'true' }],
    ...asked,
    faults: ['cut-redis'],
  },
  {
    ...leased,
    rule: 14,
    name: 'a lease is taken although a Weir is missing',
    changes: [{ file: 'cache/redis-sync.js', from: 'if (reply.isGranted || ignoresMissing)', to: 'if (true)' }],
    ...asked,
    faults: ['cut-redis'],
  },
  {
    ...leased,
    rule: 14,
    name: 'a lease counts from when it is granted',
    changes: [
      { file: 'cache/redis-sync.js', from: 'granted(reply, sentAtMs)', to: 'granted(reply, this.options.now())' },
    ],
    faults: ['late-answers'],
  },
  {
    ...leased,
    rule: 15,
    name: 'a lease counts before the messages have arrived',
    changes: [
      { file: 'cache/redis-sync.js', from: 'arrived(ignoresUnheard ? Infinity', to: 'arrived(true ? Infinity' },
    ],
    faults: ['mute-redis'],
  },
  {
    ...leased,
    rule: 16,
    name: 'a write that cannot be announced does not wait',
    changes: [{ file: 'cache/announcements.js', from: 'rules.ignoresLeases ? 0', to: 'true ? 0' }],
    ...asked,
    // The time in which the others would still show what they have.
    config: { workers: 1, cache: { lease: '2s' } },
    faults: ['cut-redis'],
  },
];
