/** Numbers, with their units, and times as people read them. */

const dash = '\u2013';

/** @param {number | null | undefined} value */
export function number(value) {
  if (value == null) return dash;
  if (value >= 100 || Number.isInteger(value)) return Math.round(value).toLocaleString('en');
  return value >= 10 ? value.toFixed(1) : value.toFixed(2).replace(/0$/, '');
}

/** 12,345 is 12.3k: for axes. @param {number} value */
export function short(value) {
  for (const [unit, size] of /** @type {const} */ ([
    ['M', 1e6],
    ['k', 1e3],
  ]))
    if (value >= size) return `${Number((value / size).toPrecision(3))}${unit}`;
  return String(Number(value.toPrecision(3)));
}

/** @param {number | null | undefined} ms */
export function duration(ms) {
  if (ms == null) return dash;
  if (ms === 0) return '0 ms';
  if (ms < 1) return `${Number((ms * 1000).toPrecision(2))} \u00b5s`;
  if (ms < 1000) return `${ms < 10 ? Number(ms.toPrecision(2)) : Math.round(ms)} ms`;
  if (ms < 60_000) return `${Number((ms / 1000).toPrecision(3))} s`;
  if (ms < 3_600_000) return `${Math.round(ms / 60_000)} min`;
  return ms < 172_800_000 ? `${Number((ms / 3_600_000).toPrecision(2))} h` : `${Math.round(ms / 86_400_000)} d`;
}

/** @param {number} bytes */
export function size(bytes) {
  let value = bytes;
  for (const unit of ['B', 'KB', 'MB', 'GB']) {
    if (value < 1024) return `${Number(value.toPrecision(3))} ${unit}`;
    value /= 1024;
  }
  return `${Number(value.toPrecision(3))} TB`;
}

/** @param {number | null | undefined} share */
export function percent(share) {
  if (share == null) return dash;
  const value = share * 100;
  return `${value === 0 || value >= 99.95 || value >= 10 ? Number(value.toFixed(1)) : Number(value.toPrecision(2))} %`;
}

/** @param {number} ms @param {boolean} [withSeconds] */
export function clock(ms, withSeconds = true) {
  const two = (/** @type {number} */ value) => String(value).padStart(2, '0');
  const date = new Date(ms);
  const time = `${two(date.getHours())}:${two(date.getMinutes())}`;
  return withSeconds ? `${time}:${two(date.getSeconds())}` : time;
}

/** @param {number} count @param {string} one @param {string} [many] */
export function several(count, one, many = `${one}s`) {
  return `${number(count)} ${count === 1 ? one : many}`;
}
