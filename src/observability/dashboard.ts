/**
 * The dashboard: one self-contained page, which fetches /stats.json every two seconds and nothing else. All values are
 * set as text, never as HTML. The Content-Security-Policy allows its script and style by hash. Called by http.ts.
 */
import { createHash } from 'node:crypto';

const style = `
:root{color-scheme:light dark;--bg:#f6f7f9;--card:#fff;--ink:#1b2330;--dim:#66707f;--line:#e2e6ec;--accent:#2563c9;--good:#15803d;--bad:#c2261d;--warn:#a15c07;--bar:#c9daf7}
@media (prefers-color-scheme:dark){:root{--bg:#11151c;--card:#191f29;--ink:#e6eaf0;--dim:#93a0b3;--line:#2a3342;--accent:#7fb0ff;--good:#5bd08a;--bad:#ff8077;--warn:#f0b357;--bar:#2c4a7c}}
*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--ink);font:14px/1.45 system-ui,sans-serif}
main{max-width:1200px;margin:0 auto;padding:20px}header{display:flex;gap:12px;align-items:baseline;flex-wrap:wrap;margin-bottom:14px}
h1{font-size:20px;margin:0}h2{font-size:14px;margin:0 0 8px}.dim{color:var(--dim)}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:10px;margin-bottom:14px}
.card,section{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:12px 14px}
section{margin-bottom:14px;overflow-x:auto}.card b{display:block;font-size:22px;font-weight:600;font-variant-numeric:tabular-nums}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}th,td{text-align:left;padding:5px 14px 5px 0;white-space:nowrap}
th{color:var(--dim);font-weight:500;font-size:12px;border-bottom:1px solid var(--line)}td{border-bottom:1px solid var(--line)}tr:last-child td{border-bottom:0}
td.n,th.n{text-align:right}td.wrap{white-space:normal;min-width:220px}.good{color:var(--good)}.bad{color:var(--bad)}.warn{color:var(--warn)}
svg{display:block;width:100%;height:48px;margin-top:6px}polyline{fill:none;stroke:var(--accent);stroke-width:1.5;vector-effect:non-scaling-stroke}
.meter{display:inline-block;width:90px;height:8px;background:var(--line);border-radius:4px;overflow:hidden;vertical-align:middle;margin-right:8px}
.meter i{display:block;height:100%;background:var(--accent)}#stale,#ahead{display:none}`;

const script = `
'use strict';
let last, history = [];
const $ = (id) => document.getElementById(id);
const num = (v) => v == null ? '?' : v >= 100 ? Math.round(v).toLocaleString('en') : String(Math.round(v * 10) / 10);
const size = (v) => { let u = 0; while (v >= 1024 && u < 4) { v /= 1024; u++; } return num(v) + ' ' + ['B','KB','MB','GB','TB'][u]; };
const time = (s) => s >= 86400 ? num(s / 86400) + ' d' : s >= 3600 ? num(s / 3600) + ' h' : s >= 60 ? num(s / 60) + ' min' : num(s) + ' s';
const make = (tag, text, cls) => { const e = document.createElement(tag); if (text !== undefined) e.textContent = text; if (cls) e.className = cls; return e; };
const card = (label, value, cls) => { const e = make('div', undefined, 'card'); e.append(make('b', value, cls), make('span', label, 'dim')); return e; };
const fill = (id, heads, rows) => {
  const table = make('table'), head = make('tr');
  heads.forEach((h) => head.append(make('th', h.replace('#', ''), h.startsWith('#') ? 'n' : '')));
  table.append(head);
  rows.forEach((cells) => { const tr = make('tr'); cells.forEach((c, i) => {
    if (c instanceof Node) { const td = make('td'); td.append(c); tr.append(td); }
    else { const [text, cls] = Array.isArray(c) ? c : [c, '']; tr.append(make('td', text, ((heads[i] || '').startsWith('#') ? 'n ' : '') + (cls || ''))); } });
    table.append(tr); });
  $(id).replaceChildren(rows.length ? table : make('span', 'none yet', 'dim'));
};
const meter = (used, of, text) => { const s = make('span'), m = make('span', undefined, 'meter'), i = make('i'); i.style.width = Math.min(100, of > 0 ? 100 * used / of : 0) + '%'; m.append(i); s.append(m, document.createTextNode(text)); return s; };
const sum = (list, f) => list.reduce((t, x) => t + f(x), 0);
const points = (list, step) => { const top = Math.max(1, ...list); return list.map((v, i) => (i * step).toFixed(1) + ',' + (46 - 44 * v / top).toFixed(1)).join(' '); };
const plot = () => $('line').setAttribute('points', points(history, 300 / 149));
const svg = (tag, attributes) => { const e = document.createElementNS($('line').namespaceURI, tag); Object.entries(attributes).forEach(([k, v]) => e.setAttribute(k, v)); return e; };
const day = (list) => {
  if (!list.length) return make('span', 'not known yet', 'dim');
  const s = svg('svg', { viewBox: '0 0 300 48', preserveAspectRatio: 'none', role: 'img', 'aria-label': 'connections needed in the next 24 hours' });
  s.append(svg('polyline', { points: points(list, 300 / Math.max(1, list.length - 1)) }));
  return s;
};
function draw(s) {
  const seconds = last ? (s.atMs - last.atMs) / 1000 : 0;
  const rate = (f) => last && seconds > 0 ? Math.max(0, (sum(s.databases, f) - sum(last.databases, f)) / seconds) : 0;
  const qps = rate((d) => d.queries), hits = s.cache.hits, asked = hits + s.cache.misses;
  const waiting = sum(s.pools, (p) => p.waiting), clients = sum(Object.values(s.clients), (v) => v);
  $('version').textContent = 'Weir ' + s.version;
  $('uptime').textContent = 'up ' + time(s.uptimeSeconds) + ', ' + size(s.residentBytes);
  $('cards').replaceChildren(
    card('queries / s', num(qps)), card('of them on replicas / s', num(rate((d) => d.replica))), card('from the cache / s', num(rate((d) => d.cache))),
    card('clients', num(clients)), card('waiting for a server', num(waiting), waiting ? 'warn' : ''),
    card('server connections', num(sum(s.pools, (p) => p.active + p.idle + p.login + p.resetting))),
    card('cache hit rate', asked ? num(100 * hits / asked) + ' %' : '-'), card('errors / s', num(rate((d) => d.errors))));
  history.push(qps); if (history.length > 150) history.shift(); plot();
  fill('nodes', ['database', 'node', 'address', 'role', 'state', '#lag', '#outstanding', '#slowdown', 'problem'], s.nodes.map((n) => [
    n.database, n.name, n.address, n.role,
    !n.isUp ? ['down', 'bad'] : n.isDraining ? ['draining', 'warn'] : n.isEjected ? ['ejected', 'bad'] : ['up', 'good'],
    n.role === 'primary' ? '' : n.lagMs === null ? ['unknown', 'warn'] : num(n.lagMs) + ' ms', num(n.outstanding), num(n.slowdown), [n.problem || '', 'wrap dim']]));
  fill('pools', ['pool', 'node', 'mode', 'in use / limit', '#idle', '#waiting', '#max wait', '#pinned', 'bounds', 'last resize'], s.pools.map((p) => [
    p.database + '.' + p.user, p.node, p.isPaused ? [p.poolMode + ', paused', 'warn'] : p.poolMode,
    meter(p.active + p.resetting, p.limit, (p.active + p.resetting) + ' / ' + p.limit), num(p.idle),
    [num(p.waiting), p.waiting ? 'warn' : ''], num(p.maxWaitMs) + ' ms', num(p.pinned), p.min + ' - ' + p.max,
    [p.connectProblem || (p.lastResize ? p.lastResize.from + ' \\u2192 ' + p.lastResize.to + ' ' + p.lastResize.reason + ': ' + p.lastResize.why : ''), p.connectProblem ? 'wrap bad' : 'wrap dim']]));
  fill('databases', ['database', '#queries', '#transactions', '#to primary', '#to replicas', '#from cache', '#errors', '#misroutes', '#mean time'], s.databases.map((d) => [
    d.database, num(d.queries), num(d.xacts), num(d.primary), num(d.replica), num(d.cache), num(d.errors), num(d.misroutes), d.queries ? num(1000 * d.queryMs / d.queries) + ' \\u00b5s' : '']));
  $('ahead').style.display = s.forecast.length ? 'block' : 'none';
  fill('forecast', ['pool', 'node', '#now', '#predicted', '#confidence', '#warmed', 'next 24 hours', 'why'], s.forecast.map((f) => [
    f.database + '.' + f.user, f.node, num(f.now), num(f.predicted), num(100 * f.confidence) + ' %', num(f.warmed), day(f.day), [f.why, 'wrap dim']]));
  const c = s.cache;
  const shared = c.workers === 'off' ? c.redis : c.workers;
  fill('cache', ['filled', '#entries', '#hits', c.workers === 'off' ? '#of them Redis' : '#of them shared', '#misses', '#stores', '#evictions', '#invalidations', c.workers === 'off' ? 'Redis' : 'workers'], [[
    meter(c.bytes, c.maxBytes, size(c.bytes) + ' / ' + size(c.maxBytes)), num(c.entries), num(c.hits), num(c.hitsSecondLevel), num(c.misses), num(c.stores), num(c.evictions),
    num(sum(Object.values(c.invalidations), (v) => v)), [shared, shared === 'down' ? 'bad' : shared === 'up' ? 'good' : 'dim']]]);
  last = s;
}
async function tick() {
  try {
    const r = await fetch('stats.json', { cache: 'no-store' });
    if (!r.ok) throw new Error('HTTP ' + r.status);
    draw(await r.json()); $('stale').style.display = 'none';
  } catch (e) { $('stale').style.display = 'inline'; $('stale').textContent = 'no answer from Weir (' + e.message + ')'; }
  setTimeout(tick, document.hidden ? 10000 : 2000);
}
tick();`;

export const dashboardHtml = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>Weir</title>
<link rel="icon" href="data:,"><style>${style}</style></head><body><main>
<header><h1 id="version">Weir</h1><span id="uptime" class="dim"></span><span id="stale" class="bad"></span></header>
<div id="cards" class="cards"></div>
<section><h2>Queries per second, last five minutes</h2><svg viewBox="0 0 300 48" preserveAspectRatio="none" role="img" aria-label="queries per second"><polyline id="line"/></svg></section>
<section><h2>Nodes</h2><div id="nodes"></div></section>
<section><h2>Pools</h2><div id="pools"></div></section>
<section id="ahead"><h2>Forecast</h2><div id="forecast"></div></section>
<section><h2>Databases</h2><div id="databases"></div></section>
<section><h2>Cache</h2><div id="cache"></div></section>
<p class="dim">Metrics for Prometheus: <a href="metrics">metrics</a>. Raw figures: <a href="stats.json">stats.json</a>.</p>
</main><script>${script}</script></body></html>
`;

const hash = (text: string): string => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;

/** `style-src-attr` allows the script to set the width of a bar. */
export const dashboardPolicy = [
  "default-src 'none'",
  `script-src ${hash(script)}`,
  `style-src ${hash(style)}`,
  "style-src-attr 'unsafe-inline'",
  "connect-src 'self'",
  'img-src data:',
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');
