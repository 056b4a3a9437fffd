/**
 * A table whose rows come anew each second. Rows stay by their key and cells that did not change are not touched, so that one can
 * select and copy. On a phone each row is a block (page.css), with the heads beside the cells.
 */
import { make, setText } from './dom.js';

/**
 * What a cell shows. `bar`: from 0 to 1. `more`: a second line.
 * @typedef {{ text: string, tone?: 'bad' | 'warn' | 'good' | 'dim', bar?: number, more?: string, isCode?: boolean, draw?: () => Element }} Cell
 */
/**
 * @template Row
 * @typedef {{ head: string, isNumber?: boolean, isLong?: boolean, about?: string, cell(row: Row): Cell | string }} Column
 */
/**
 * @template Row
 * @typedef {{ cells: HTMLElement[], shown: string[], tr: HTMLElement }} Line
 */

/** @template Row */
export class Table {
  /**
   * @param {HTMLElement} parent
   * @param {{ columns: readonly Column<Row>[], key(row: Row): string, none: string }} options
   */
  constructor(parent, options) {
    this.options = options;
    /** @type {Map<string, Line<Row>>} */
    this.lines = new Map();
    const heads = options.columns.map(({ head, isNumber, about }) =>
      make('th', { class: isNumber ? 'number' : '', ...(about !== undefined && { title: about }) }, head),
    );
    this.body = make('tbody');
    this.table = make('table', {}, make('thead', {}, make('tr', {}, ...heads)), this.body);
    this.note = make('p', { class: 'dim' }, options.none);
    parent.append(make('div', { class: 'scroll' }, this.table), this.note);
    this.table.hidden = true;
  }

  /** @param {readonly Row[]} rows @param {number} [total] */
  show(rows, total = rows.length) {
    this.table.hidden = rows.length === 0;
    this.note.hidden = rows.length > 0 && total <= rows.length;
    setText(this.note, rows.length === 0 ? this.options.none : `${rows.length} of ${total} are shown.`);
    /** @type {Set<string>} */
    const present = new Set();
    let place = this.body.firstElementChild;
    for (const row of rows) {
      const key = this.options.key(row);
      if (present.has(key)) continue;
      present.add(key);
      const line = this.lines.get(key) ?? this.add(key);
      this.fill(line, row);
      if (line.tr === place) place = place.nextElementSibling;
      else this.body.insertBefore(line.tr, place);
    }
    for (const [key, { tr }] of this.lines) {
      if (present.has(key)) continue;
      tr.remove();
      this.lines.delete(key);
    }
  }

  /** @param {string} key */
  add(key) {
    const cells = this.options.columns.map(({ head }) => {
      const td = make('td');
      td.dataset['head'] = head;
      return td;
    });
    /** @type {Line<Row>} */
    const line = { cells, shown: [], tr: make('tr', {}, ...cells) };
    this.lines.set(key, line);
    return line;
  }

  /** @param {Line<Row>} line @param {Row} row */
  fill(line, row) {
    for (const [i, { cell, isNumber, isLong }] of this.options.columns.entries()) {
      const made = cell(row);
      const content = typeof made === 'string' ? { text: made } : made;
      const shown = JSON.stringify(content);
      const td = line.cells[i];
      if (td === undefined || line.shown[i] === shown) continue;
      line.shown[i] = shown;
      td.className = [isNumber ? 'number' : isLong ? 'long' : '', content.tone ?? ''].join(' ').trim();
      td.replaceChildren(...inside(content));
    }
  }
}

/** @param {Cell} cell */
function inside({ text, bar, more, isCode, draw }) {
  /** @type {(Node | string)[]} */
  const nodes = [];
  if (bar !== undefined) {
    const filled = make('i');
    filled.style.width = `${Math.min(100, Math.max(0, bar * 100))}%`;
    nodes.push(make('span', { class: bar >= 1 ? 'bar full' : 'bar' }, filled));
  }
  nodes.push(isCode ? make('code', {}, text) : text);
  if (draw !== undefined) nodes.push(draw());
  if (more !== undefined && more !== '') nodes.push(make('small', {}, more));
  return nodes;
}
