/** The head of the page: whether Weir is fine, what is not and why, and the figures that one looks at first. */
import { byId, make, setText } from './dom.js';
import { clock, duration, number, percent, several, size } from './format.js';

/** @typedef {import('../../src/observability/page/types.ts').Snapshot} Snapshot */
/** @typedef {import('../../src/observability/page/types.ts').Problem} Problem */
/** @typedef {{ label: string, text: string, tone?: string, about: string }} Figure */

/** @param {Snapshot} snapshot */
export function showHead(snapshot) {
  const { problems, weir, atMs } = snapshot;
  const bad = problems.filter(({ level }) => level === 'bad').length;
  const level = bad > 0 ? 'bad' : problems.length > 0 ? 'warn' : 'fine';
  const words = verdict(bad, problems.length - bad);
  byId('verdict').className = level;
  setText(byId('verdict').firstElementChild ?? byId('verdict'), words);
  setText(byId('summary'), summary(snapshot));
  showProblems(problems);
  showFigures(figures(snapshot));
  const workers = weir.workers > 1 ? `, ${weir.workers} workers` : '';
  setText(byId('about'), `${weir.version}${workers}, up ${duration(atMs - weir.startedAtMs)}, as of ${clock(atMs)}`);
  setIcon(level);
  document.title = level === 'fine' ? 'Weir' : `${words} \u2013 Weir`;
}

/** @param {number} bad @param {number} warn */
function verdict(bad, warn) {
  if (bad > 0) return several(bad, 'problem');
  return warn > 0 ? several(warn, 'warning') : 'Weir is fine';
}

/** @param {Snapshot} snapshot */
function summary({ traffic, pools }) {
  if (traffic === null) return 'Nothing was measured yet.';
  const waiting = pools.rows.reduce((sum, pool) => sum + pool.waiting, 0);
  const waits = waiting === 0 ? 'nobody waits' : `${several(waiting, 'client waits', 'clients wait')} for a server`;
  const latency = traffic.p95 === null ? '' : `, 95 % within ${duration(traffic.p95)}`;
  return `${several(traffic.queries, 'statement')} per second${latency}; ${waits}.`;
}

/** @param {readonly Problem[]} problems */
function showProblems(problems) {
  const list = byId('problems');
  // What is selected stays selected while nothing changes.
  const now = JSON.stringify(problems);
  if (list.dataset['shown'] === now) return;
  list.dataset['shown'] = now;
  list.replaceChildren(
    ...problems.map(({ level, section, what, why }) => {
      const link = make('a', {}, what);
      link.setAttribute('href', section === 'weir' ? '#figures' : `#${section}`);
      return make('li', { class: level }, link, why === '' ? '' : `: ${why}`);
    }),
  );
}

/** @param {Snapshot} snapshot @returns {Figure[]} */
function figures({ traffic, pools, nodes, clientStates, cache, weir }) {
  const sum = (/** @type {(pool: (typeof pools.rows)[number]) => number} */ of) =>
    pools.rows.reduce((total, pool) => total + of(pool), 0);
  const clients = Object.values(clientStates).reduce((total, count) => total + count, 0);
  const waiting = sum((pool) => pool.waiting);
  const looked = cache.hits + cache.misses;
  const limit = weir.memoryLimitBytes > 0 ? `, of ${size(weir.memoryLimitBytes)} that it may have` : '';
  const lags = nodes.rows.flatMap(({ role, lagMs }) => (role === 'replica' && lagMs !== null ? [lagMs] : []));
  return [
    { label: 'statements/s', text: number(traffic?.queries), about: 'Answered in the last ten seconds' },
    { label: 'p50', text: duration(traffic?.p50), about: 'Half of the statements took no longer' },
    { label: 'p95', text: duration(traffic?.p95), about: '95 % of the statements took no longer' },
    { label: 'p99', text: duration(traffic?.p99), about: '99 % of the statements took no longer' },
    {
      label: 'errors/s',
      text: number(traffic?.errors),
      ...(traffic !== null && traffic.unserved > 0 && { tone: 'bad' }),
      about: 'Errors that clients got, those of their own statements included',
    },
    { label: 'clients', text: number(clients), about: 'Connected clients' },
    {
      label: 'waiting',
      text: number(waiting),
      ...(waiting > 0 && { tone: 'warn' }),
      about: 'Clients that wait for a server connection',
    },
    {
      label: 'servers',
      text: `${number(sum(({ active }) => active))} / ${number(sum(({ limit }) => limit))}`,
      about: 'Server connections in use, and how many the pools may have now',
    },
    {
      label: 'cache hits',
      text: cache.isEnabled ? percent(looked === 0 ? null : cache.hits / looked) : 'off',
      about: 'Since the start, of the statements that were looked up in the cache',
    },
    {
      label: 'replica lag',
      text: duration(lags.length === 0 ? null : Math.max(...lags)),
      about: 'Of the replica that is furthest behind',
    },
    { label: 'memory', text: size(weir.residentBytes), about: `Of all processes of this Weir${limit}` },
    {
      label: 'CPU',
      text: percent(weir.cpuBusy),
      ...(weir.cpuBusy >= 0.9 && { tone: 'warn' }),
      about: 'The part of the time in which the busiest process had something to do',
    },
  ];
}

/** @param {readonly Figure[]} all */
function showFigures(all) {
  const place = byId('figures');
  while (place.children.length > all.length) place.lastElementChild?.remove();
  for (const [i, { label, text, tone = '', about }] of all.entries()) {
    const box = place.children[i] ?? place.appendChild(make('div', {}, make('b'), make('span')));
    box.setAttribute('title', about);
    const [value, name] = box.children;
    if (value === undefined || name === undefined) continue;
    value.className = tone;
    setText(value, text);
    setText(name, label);
  }
}

/** @param {'fine' | 'warn' | 'bad' | 'off'} level */
function setIcon(level) {
  const href = `page/icon-${level}.svg`;
  if (byId('icon').getAttribute('href') !== href) byId('icon').setAttribute('href', href);
}

/** @param {string | undefined} problem undefined: connected @param {number} sinceMs */
export function showConnection(problem, sinceMs) {
  const note = byId('connection');
  note.hidden = problem === undefined;
  document.body.classList.toggle('old', problem !== undefined);
  if (problem === undefined) return;
  const old = sinceMs > 0 ? ` What you see is from ${clock(sinceMs)}.` : '';
  setText(note, `${problem}. This page tries again by itself.${old}`);
  setIcon('off');
  document.title = 'No answer \u2013 Weir';
}
