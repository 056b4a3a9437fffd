/** The tables of the page: what is in each column, and when it is good or bad news. */
import { byId, make, setText } from './dom.js';
import { clock, duration, number, percent, size } from './format.js';
import { Table } from './table.js';

/** @typedef {import('../../src/observability/page/types.ts').Snapshot} Snapshot */
/** @typedef {import('../../src/observability/page/types.ts').PoolRow} PoolRow */
/** @typedef {import('../../src/observability/page/types.ts').NodeRow} NodeRow */
/** @typedef {import('../../src/observability/page/types.ts').DatabaseRow} DatabaseRow */
/** @typedef {import('../../src/observability/page/types.ts').ClientRow} ClientRow */
/** @typedef {import('../../src/observability/page/types.ts').StatementRow} StatementRow */
/** @typedef {import('../../src/observability/page/types.ts').ForecastRow} ForecastRow */
/** @typedef {import('../../src/observability/page/types.ts').CacheRow} CacheRow */
/** @typedef {import('./table.js').Cell} Cell */

/** When the snapshot is from that is being shown. */
const now = { atMs: 0 };

/** @param {number} count @param {Cell['tone']} tone @returns {Cell} */
const marked = (count, tone) =>
  count > 0 ? { text: number(count), ...(tone && { tone }) } : { text: '0', tone: 'dim' };

function makePools() {
  /** @type {import('./table.js').Column<PoolRow>[]} */
  const columns = [
    { head: 'pool', cell: ({ database, user, mode }) => ({ text: `${database}.${user}`, more: mode }) },
    { head: 'node', cell: ({ node }) => node },
    {
      head: 'in use',
      about: 'Of the connections that it may have now',
      cell: ({ active, limit, isPaused }) => ({
        text: `${active} of ${limit}${isPaused ? ', paused' : ''}`,
        bar: limit > 0 ? active / limit : 0,
        ...(isPaused && { tone: /** @type {const} */ ('warn') }),
      }),
    },
    { head: 'idle', isNumber: true, cell: ({ idle }) => number(idle) },
    {
      head: 'waiting',
      isNumber: true,
      about: 'Clients',
      cell: ({ waiting, maxWaitMs }) => marked(waiting, maxWaitMs >= 1000 ? 'bad' : 'warn'),
    },
    {
      head: 'longest wait',
      isNumber: true,
      cell: ({ maxWaitMs }) => ({
        text: duration(maxWaitMs),
        ...(maxWaitMs === 0 && { tone: /** @type {const} */ ('dim') }),
      }),
    },
    {
      head: 'pinned',
      isNumber: true,
      about: 'Servers that a client keeps',
      cell: ({ pinned }) => marked(pinned, undefined),
    },
    {
      head: 'bounds',
      isNumber: true,
      about: 'Within which it may be resized',
      cell: ({ min, max }) => `${min}\u2013${max}`,
    },
    { head: 'why this size', isLong: true, cell: whyThisSize },
  ];
  const key = (/** @type {PoolRow} */ { database, user, node }) => JSON.stringify([database, user, node]);
  return new Table(byId('pools'), { columns, key, none: 'No client has asked for a server connection yet.' });
}

/** @param {PoolRow} pool @returns {Cell} */
function whyThisSize({ problem, isOverloaded, lastResize }) {
  if (problem !== null) return { text: `cannot connect: ${problem}`, tone: 'bad' };
  const overload = isOverloaded ? 'overloaded: refuses those who wait longest' : '';
  if (lastResize === null)
    return overload === '' ? { text: 'as configured', tone: 'dim' } : { text: overload, tone: 'bad' };
  const { from, to, reason, why, atMs } = lastResize;
  const text = `${from} \u2192 ${to} ${reason}, ${duration(Math.max(0, now.atMs - atMs))} ago`;
  return { text: overload === '' ? text : `${overload}; ${text}`, more: why, ...(overload !== '' && { tone: 'bad' }) };
}

/** @type {Readonly<Record<NodeRow['state'], Cell['tone']>>} */
const nodeTones = { up: 'good', down: 'bad', ejected: 'bad', draining: 'warn', lagging: 'warn', trial: 'warn' };

function makeNodes() {
  /** @type {import('./table.js').Column<NodeRow>[]} */
  const columns = [
    { head: 'node', cell: ({ name, address }) => ({ text: name, more: address }) },
    { head: 'database', cell: ({ database }) => database },
    {
      head: 'role',
      cell: ({ role, version }) => ({ text: role, ...(version !== null && { more: `PostgreSQL ${version}` }) }),
    },
    { head: 'state', cell: ({ state }) => ({ text: state, ...tone(nodeTones[state]) }) },
    {
      head: 'lag',
      isNumber: true,
      cell({ role, lagMs, lagBytes, state }) {
        if (role === 'primary') return { text: '\u2013', tone: 'dim' };
        if (lagMs === null) return { text: 'not known', tone: 'warn' };
        return {
          text: duration(lagMs),
          ...tone(state === 'lagging' ? 'warn' : undefined),
          ...(lagBytes !== null && { more: size(lagBytes) }),
        };
      },
    },
    {
      head: 'running',
      isNumber: true,
      about: 'Statements sent and not answered yet',
      cell: ({ outstanding }) => number(outstanding),
    },
    {
      head: 'slowdown',
      isNumber: true,
      about: '1: as fast as ever',
      cell: ({ slowdown }) => (slowdown === null ? '\u2013' : `${number(slowdown)}\u00d7`),
    },
    {
      head: 'remark',
      isLong: true,
      cell: ({ problem }) => ({ text: problem ?? '', ...tone(problem === null ? undefined : 'warn') }),
    },
  ];
  const key = (/** @type {NodeRow} */ { database, name }) => JSON.stringify([database, name]);
  return new Table(byId('nodes'), { columns, key, none: 'No node is known yet.' });
}

/** @param {Cell['tone']} value @returns {{ tone?: NonNullable<Cell['tone']> }} */
function tone(value) {
  return value === undefined ? {} : { tone: value };
}

function makeDatabases() {
  /** @param {keyof NonNullable<DatabaseRow['traffic']>} name @param {(value: number | null | undefined) => string} show */
  const traffic = (name, show) => (/** @type {DatabaseRow} */ row) => show(row.traffic?.[name]);
  /** @type {import('./table.js').Column<DatabaseRow>[]} */
  const columns = [
    { head: 'database', cell: ({ name }) => name },
    { head: 'statements/s', isNumber: true, cell: traffic('queries', number) },
    { head: 'primary', isNumber: true, cell: traffic('primary', number) },
    { head: 'replicas', isNumber: true, cell: traffic('replica', number) },
    { head: 'cache', isNumber: true, cell: traffic('cache', number) },
    { head: 'p50', isNumber: true, cell: traffic('p50', duration) },
    { head: 'p95', isNumber: true, cell: traffic('p95', duration) },
    { head: 'p99', isNumber: true, cell: traffic('p99', duration) },
    {
      head: 'errors/s',
      isNumber: true,
      cell: (row) => marked(row.traffic?.errors ?? 0, row.traffic?.unserved ? 'bad' : undefined),
    },
    {
      head: 'remark',
      isLong: true,
      cell: ({ problem }) => ({ text: problem ?? '', ...tone(problem === null ? undefined : 'warn') }),
    },
  ];
  return new Table(byId('databases'), { columns, key: ({ name }) => name, none: 'No database is in use yet.' });
}

function makeClients() {
  /** @type {import('./table.js').Column<ClientRow>[]} */
  const columns = [
    { head: 'client', isNumber: true, about: 'Its number, for KILL CLIENT', cell: ({ id }) => String(id) },
    { head: 'user', cell: ({ user, database }) => ({ text: user, more: database }) },
    {
      head: 'from',
      cell: ({ address, application }) => ({
        text: application === '' ? address : application,
        ...(application !== '' && { more: address }),
      }),
    },
    {
      head: 'state',
      cell: ({ state, waitMs }) => ({
        text: state === 'waiting' ? `waiting ${duration(waitMs)}` : state.replaceAll('_', ' '),
        ...tone(state === 'waiting' ? 'warn' : undefined),
      }),
    },
    {
      head: 'last request',
      isNumber: true,
      cell: ({ requestAtMs }) => `${duration(Math.max(0, now.atMs - requestAtMs))} ago`,
    },
    { head: 'server of', cell: ({ node }) => node || '\u2013' },
    {
      head: 'pinned by',
      about: 'Why it keeps its server',
      isLong: true,
      cell: ({ pins }) => ({ text: pins.join(', ') || '\u2013' }),
    },
    { head: 'last route', isLong: true, cell: ({ lastRoute }) => ({ text: lastRoute, tone: 'dim' }) },
  ];
  return new Table(byId('clients'), { columns, key: ({ id }) => String(id), none: 'None.' });
}

function makeCache() {
  /** @type {import('./table.js').Column<CacheRow>[]} */
  const columns = [
    {
      head: 'filled',
      cell: ({ bytes, maxBytes }) => ({
        text: `${size(bytes)} of ${size(maxBytes)}`,
        bar: maxBytes > 0 ? bytes / maxBytes : 0,
      }),
    },
    { head: 'answers', isNumber: true, cell: ({ entries }) => number(entries) },
    { head: 'hits', isNumber: true, cell: ({ hits }) => number(hits) },
    { head: 'misses', isNumber: true, cell: ({ misses }) => number(misses) },
    {
      head: 'hit rate',
      isNumber: true,
      cell: ({ hits, misses }) => percent(hits + misses === 0 ? null : hits / (hits + misses)),
    },
    { head: 'evicted', isNumber: true, about: 'For lack of room', cell: ({ evictions }) => number(evictions) },
    {
      head: 'invalidated',
      isNumber: true,
      about: 'By writes and operators',
      cell: ({ invalidations }) => number(invalidations),
    },
    {
      head: 'Redis',
      cell: ({ redis }) => ({ text: redis, ...tone(redis === 'down' ? 'bad' : redis === 'up' ? 'good' : 'dim') }),
    },
    {
      head: 'workers',
      about: 'What workers tell each other of writes',
      cell: ({ workers }) => ({
        text: workers,
        ...tone(workers === 'down' ? 'bad' : workers === 'up' ? 'good' : 'dim'),
      }),
    },
  ];
  return new Table(byId('cache'), { columns, key: () => '', none: 'The cache is off (cache.enabled).' });
}

function makeForecast() {
  /** @type {import('./table.js').Column<ForecastRow>[]} */
  const columns = [
    { head: 'pool', cell: ({ database, user }) => `${database}.${user}` },
    { head: 'node', cell: ({ node }) => node },
    { head: 'needs now', isNumber: true, cell: (row) => number(row.now) },
    { head: 'will need', isNumber: true, cell: ({ predicted }) => number(predicted) },
    { head: 'confidence', isNumber: true, cell: ({ confidence }) => percent(confidence) },
    {
      head: 'next 24 hours',
      cell: ({ day }) => ({ text: day.length === 0 ? 'not known yet' : `up to ${number(Math.max(...day))}`, more: '' }),
    },
    { head: 'why', isLong: true, cell: ({ why }) => ({ text: why, tone: 'dim' }) },
  ];
  const key = (/** @type {ForecastRow} */ { database, user, node }) => JSON.stringify([database, user, node]);
  return new Table(byId('forecast'), { columns, key, none: 'None yet.' });
}

/** @typedef {import('../../src/observability/page/types.ts').TopStatements} TopStatements */
/** @typedef {keyof TopStatements} Order */

class Statements {
  constructor() {
    /** @type {Order} */
    this.order = 'byTime';
    /** @type {TopStatements | null} */
    this.shown = null;
    const buttons = [
      this.button('byTime', 'by time'),
      this.button('byCalls', 'by calls'),
      this.button('byMisses', 'by misses of the cache'),
    ];
    byId('statements').append(make('p', { class: 'choice' }, ...buttons));
    this.buttons = buttons;
    this.table = new Table(byId('statements'), {
      columns: this.columns(),
      key: ({ key }) => key,
      none: 'No statement was counted yet.',
    });
    this.choose('byTime');
  }

  /** @param {Order} order @param {string} label */
  button(order, label) {
    const button = make('button', {}, label);
    button.dataset['order'] = order;
    button.addEventListener('click', () => this.choose(order));
    return button;
  }

  /** @param {Order} order */
  choose(order) {
    this.order = order;
    for (const button of this.buttons) button.setAttribute('aria-pressed', String(button.dataset['order'] === order));
    this.show(this.shown);
  }

  /** @returns {import('./table.js').Column<StatementRow>[]} */
  columns() {
    return [
      {
        head: 'statement',
        isLong: true,
        cell: ({ text, database, user }) => ({ text, isCode: true, more: `${user} on ${database}` }),
      },
      { head: 'calls', isNumber: true, cell: ({ calls }) => number(calls) },
      { head: 'total time', isNumber: true, cell: ({ totalMs }) => duration(totalMs) },
      { head: 'mean', isNumber: true, cell: ({ meanMs }) => duration(meanMs) },
      { head: 'p95', isNumber: true, cell: ({ p95Ms }) => duration(p95Ms) },
      {
        head: 'of it waiting',
        isNumber: true,
        about: 'Before a server worked on it',
        cell: ({ waitMs, totalMs }) => percent(totalMs > 0 ? waitMs / totalMs : null),
      },
      { head: 'rows per call', isNumber: true, cell: ({ rows, calls }) => number(calls > 0 ? rows / calls : null) },
      {
        head: 'hits',
        isNumber: true,
        about: 'Of the cache',
        cell: ({ hits, misses }) => percent(hits + misses > 0 ? hits / (hits + misses) : null),
      },
      { head: 'misses', isNumber: true, cell: ({ misses }) => marked(misses, undefined) },
      { head: 'errors', isNumber: true, cell: ({ errors }) => marked(errors, 'warn') },
      { head: 'answered by', isLong: true, cell: ({ nodes }) => ({ text: nodes, tone: 'dim' }) },
    ];
  }

  /** @param {TopStatements | null} statements */
  show(statements) {
    this.shown = statements;
    byId('statements').hidden = statements === null;
    if (statements !== null) this.table.show(statements[this.order]);
  }
}

export class Sections {
  constructor() {
    this.pools = makePools();
    this.nodes = makeNodes();
    this.statements = new Statements();
    this.clients = makeClients();
    this.databases = makeDatabases();
    this.cache = makeCache();
    this.forecast = makeForecast();
    this.notShown = make('p', { class: 'dim' });
    byId('clients').append(this.notShown);
  }

  /** @param {Snapshot} snapshot */
  show({ atMs, pools, nodes, clients, databases, cache, forecast }) {
    now.atMs = atMs;
    this.pools.show(pools.rows, pools.total);
    this.nodes.show(nodes.rows, nodes.total);
    byId('clients').hidden = clients === undefined;
    this.clients.show(clients?.rows ?? []);
    this.databases.show(databases.rows, databases.total);
    this.cache.show(cache.isEnabled || cache.redis !== 'off' ? [cache] : []);
    byId('forecast').hidden = forecast.total === 0;
    this.forecast.show(forecast.rows, forecast.total);
    setText(this.notShown, clients === undefined ? '' : `${clock(atMs)}: ${number(clients.total)} clients in all.`);
  }
}
