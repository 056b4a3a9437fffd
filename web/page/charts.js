/**
 * The charts of the last quarter of an hour, drawn by uPlot. One cursor for all: what was at the same time is at the same place.
 */
import uPlot from './uplot/uPlot.esm.js';
import { color, onTheme } from './colors.js';
import { byId, make, setText } from './dom.js';
import { clock, duration, number, percent, short } from './format.js';

/** @typedef {import('../../src/observability/page/types.ts').Points} Points */
/** @typedef {Exclude<keyof Points, 'atMs'>} Name */
/** @typedef {{ name: Name, label: string, color: string, isStacked?: boolean, isDashed?: boolean }} Line */
/**
 * @typedef {{ id: string, title: string, about: string, lines: readonly Line[], value(value: number | null | undefined): string,
 *   axis(value: number): string, isLog?: boolean, least: number, most?: number }} Chart
 */
/** @typedef {{ atMs: number, what: string }} Mark */

/** @type {readonly Chart[]} */
const charts = [
  {
    id: 'latency',
    title: 'Latency of statements',
    about: 'From the arrival of a statement to the end of its answer, those from the cache included',
    lines: [
      { name: 'p99', label: 'p99', color: 'c3' },
      { name: 'p95', label: 'p95', color: 'c2' },
      { name: 'p50', label: 'p50', color: 'c1' },
    ],
    value: duration,
    axis: duration,
    isLog: true,
    least: 1,
  },
  {
    id: 'statements',
    title: 'Statements per second',
    about: 'By who answered',
    lines: [
      { name: 'cache', label: 'cache', color: 'c4', isStacked: true },
      { name: 'replica', label: 'replicas', color: 'c2', isStacked: true },
      { name: 'primary', label: 'primary', color: 'c1', isStacked: true },
    ],
    value: number,
    axis: short,
    least: 10,
  },
  {
    id: 'waits',
    title: 'Wait for a server connection',
    about: 'Of the clients that had to wait',
    lines: [
      { name: 'waitP99', label: 'p99', color: 'c3' },
      { name: 'waitP95', label: 'p95', color: 'c2' },
      { name: 'waitP50', label: 'p50', color: 'c1' },
    ],
    value: duration,
    axis: duration,
    isLog: true,
    least: 1,
  },
  {
    id: 'connections',
    title: 'Server connections',
    about: 'Of all pools. A vertical line is a resize: the table of pools says why',
    lines: [
      { name: 'limit', label: 'limit', color: 'dim', isDashed: true },
      { name: 'open', label: 'open', color: 'c2' },
      { name: 'active', label: 'in use', color: 'c1' },
      { name: 'waiting', label: 'clients waiting', color: 'c3' },
    ],
    value: number,
    axis: short,
    least: 5,
  },
  {
    id: 'errors',
    title: 'Errors per second',
    about: 'All errors that clients got, and of them those that no fault of the statement explains',
    lines: [
      { name: 'errors', label: 'all', color: 'c4' },
      { name: 'unserved', label: 'not served', color: 'c3' },
    ],
    value: number,
    axis: short,
    least: 1,
  },
  {
    id: 'lag',
    title: 'Lag of replicas',
    about: 'Of the one that is furthest behind, of those that are up',
    lines: [{ name: 'lag', label: 'lag', color: 'c2' }],
    value: duration,
    axis: duration,
    least: 10,
  },
  {
    id: 'hits',
    title: 'Hit rate of the cache',
    about: 'Of the statements that were looked up in it',
    lines: [{ name: 'hitRate', label: 'hits', color: 'c4' }],
    value: percent,
    axis: percent,
    least: 1,
    most: 1,
  },
  {
    id: 'sessions',
    title: 'Clients connected',
    about: 'Sessions of all databases, without those of the console',
    lines: [{ name: 'clients', label: 'clients', color: 'c1' }],
    value: number,
    axis: short,
    least: 5,
  },
];

const height = 160;

export class Charts {
  constructor() {
    /** @type {Points | undefined} */
    this.points = undefined;
    /** @type {readonly Mark[]} */
    this.marks = [];
    this.drawn = charts.map((chart) => new Drawn(chart, this));
    onTheme(() => this.drawn.forEach((each) => each.renew()));
  }

  /** @param {Points} points @param {readonly Mark[]} marks */
  show(points, marks) {
    this.points = points;
    this.marks = marks;
    for (const each of this.drawn) each.show();
  }
}

class Drawn {
  /** @param {Chart} chart @param {Charts} all */
  constructor(chart, all) {
    this.chart = chart;
    this.all = all;
    this.values = new Map(chart.lines.map(({ name }) => [name, make('b')]));
    this.time = make('span', { class: 'dim time' });
    const legend = chart.lines.map(({ name, label, color }) => {
      const swatch = make('i', { class: color });
      return make('span', { class: 'line' }, swatch, `${label} `, this.values.get(name) ?? '');
    });
    this.place = make('div', { class: 'plot' });
    const head = make('h3', { title: chart.about }, chart.title, this.time);
    const figure = make('figure', {}, head, make('p', { class: 'legend' }, ...legend), this.place);
    figure.id = `chart-${chart.id}`;
    byId('charts').append(figure);
    /** @type {uPlot | undefined} */
    this.plot = undefined;
    new ResizeObserver(() => this.plot?.setSize(this.size())).observe(this.place);
  }

  size() {
    return { width: Math.max(200, this.place.clientWidth), height };
  }

  /** The colours of a plot cannot be changed. */
  renew() {
    this.plot?.destroy();
    this.plot = undefined;
    this.show();
  }

  show() {
    const { points } = this.all;
    if (points === undefined) return;
    const data = this.data(points);
    if (this.plot === undefined) this.plot = new uPlot(this.options(), data, this.place);
    else this.plot.setData(data);
    this.say(this.plot.cursor.idx);
  }

  /** @param {Points} points @returns {uPlot.AlignedData} */
  data(points) {
    const columns = this.chart.lines.map(({ name }) => points[name]);
    const isStacked = this.chart.lines.some((line) => line.isStacked);
    const at = points.atMs.map((ms) => ms / 1000);
    if (!isStacked) return [at, ...columns];
    // Each lies on those below it, which come after it.
    const sums = columns.map((_, i) =>
      at.map((_at, row) => {
        const below = columns.slice(i).map((column) => column[row]);
        return below.every((value) => value == null)
          ? null
          : below.reduce((sum, value) => (sum ?? 0) + (value ?? 0), 0);
      }),
    );
    return /** @type {uPlot.AlignedData} */ ([at, ...sums]);
  }

  /** @returns {uPlot.Options} */
  options() {
    const { chart } = this;
    const [text, grid] = [color('dim'), { stroke: color('grid'), width: 1 }];
    const ticks = { show: false };
    const font = '11px system-ui, sans-serif';
    return {
      ...this.size(),
      cursor: { sync: { key: 'weir' }, drag: { x: false, y: false }, points: { size: 6 } },
      legend: { show: false },
      padding: [8, 8, 0, 0],
      scales: { x: { time: true }, y: chart.isLog ? { distr: 3, range: decades } : this.range() },
      series: [{}, ...chart.lines.map((line) => this.series(line))],
      axes: [
        {
          stroke: text,
          grid,
          ticks,
          font,
          space: 70,
          size: 26,
          values: (_plot, splits) => splits.map((s) => clock(s * 1000, false)),
        },
        {
          ...{ stroke: text, grid, ticks, font, size: 58, space: 32, ...(chart.isLog && { splits: powers }) },
          values: (_plot, splits) => splits.map((split) => (split == null ? '' : chart.axis(split))),
        },
      ],
      hooks: {
        setCursor: [(plot) => this.say(plot.cursor.idx)],
        drawAxes: [(plot) => (chart.id === 'connections' ? this.drawMarks(plot) : undefined)],
      },
    };
  }

  /** From 0, and not so narrow that noise looks like an incident. @returns {{ range: uPlot.Scale.Range }} */
  range() {
    const { least, most } = this.chart;
    return {
      range: (_plot, _min, max) => [0, most ?? Math.max(least, Number.isFinite(max) && max > 0 ? max * 1.1 : 0)],
    };
  }

  /** @param {Line} line @returns {uPlot.Series} */
  series(line) {
    const base = { label: line.label, stroke: color(line.color), width: 1.5, points: { show: false }, spanGaps: false };
    if (line.isStacked) return { ...base, fill: color(`${line.color}-fill`) };
    return line.isDashed ? { ...base, dash: [4, 4] } : base;
  }

  /** @param {uPlot} plot */
  drawMarks({ ctx, bbox, valToPos, scales }) {
    const [min = 0, max = 0] = [scales['x']?.min, scales['x']?.max];
    ctx.save();
    ctx.strokeStyle = color('c4');
    ctx.beginPath();
    for (const { atMs } of this.all.marks) {
      const seconds = atMs / 1000;
      if (seconds < min || seconds > max) continue;
      const x = Math.round(valToPos(seconds, 'x', true));
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
    }
    ctx.stroke();
    ctx.restore();
  }

  /** The values under the cursor, or the newest. @param {number | null | undefined} index */
  say(index) {
    const { points } = this.all;
    if (points === undefined) return;
    const row = index ?? points.atMs.length - 1;
    const atMs = points.atMs[row];
    setText(this.time, index == null || atMs === undefined ? '' : clock(atMs));
    for (const [name, element] of this.values) setText(element, this.chart.value(points[name][row]));
  }
}

/** @param {uPlot} _plot @param {number} _axis @param {number} min @param {number} max */
function powers(_plot, _axis, min, max) {
  const found = [];
  for (let power = Math.round(Math.log10(min)); 10 ** power <= max * 1.01; power++) found.push(10 ** power);
  return found;
}

/**
 * Whole decades, so that the scale does not jump about.
 * @param {uPlot} _plot @param {number | null} min @param {number | null} max @returns {[number, number]}
 */
function decades(_plot, min, max) {
  if (min === null || max === null || !(min > 0) || !(max > 0)) return [0.1, 100];
  const [low, high] = [10 ** Math.floor(Math.log10(min)), 10 ** Math.ceil(Math.log10(max * 1.01))];
  return [low, Math.max(high, low * 10)];
}
