/** Makes elements. All that comes from Weir is set as text, never as markup: names and statements are written by strangers. */

/**
 * @param {string} tag
 * @param {{ class?: string, title?: string }} [about]
 * @param {...(Node | string)} children
 */
export function make(tag, about = {}, ...children) {
  const element = document.createElement(tag);
  if (about.class !== undefined) element.className = about.class;
  if (about.title !== undefined) element.title = about.title;
  element.append(...children);
  return element;
}

/** @param {string} id */
export function byId(id) {
  const element = document.getElementById(id);
  if (element === null) throw new Error(`the page has no ${id}`);
  return element;
}

/**
 * Touches the element only if the text is another one, so that what is selected stays selected.
 * @param {Element} element
 * @param {string} text
 */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
