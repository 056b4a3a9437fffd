/** The colours of page.css that a canvas needs. */

/** @param {string} name */
export function color(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/** @param {() => void} listener */
export function onTheme(listener) {
  document.documentElement.addEventListener('themechange', listener);
}
