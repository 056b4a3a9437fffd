/**
 * Makes a value safe to print: hides passwords, omits structures, cuts long texts. Pure.
 * Every message of the loader and every row of SHOW CONFIG goes through here.
 */

const secretName = /pass|pwd|\bpw\b|secret|token|credential/i;
const longestShown = 80;

/**
 * The URL with its password (and its query, which may hold one) replaced by ***. A URL that cannot be parsed with
 * certainty, for example with a raw `@`, `/` or `#` in its password, is hidden as a whole.
 */
export function redactUrl(text: string): string {
  const scheme = /^[a-z][a-z0-9+.-]*:\/\//i.exec(text)?.[0] ?? '';
  try {
    const url = new URL(text);
    const isAmbiguous = url.hash !== '' || /[@]/.test(url.pathname + url.search) || url.host === '';
    if (isAmbiguous) return `${scheme}***`;
    const user = url.username === '' ? '' : `${url.username}${url.password === '' ? '' : ':***'}@`;
    const password = url.username === '' && url.password !== '' ? ':***@' : '';
    return `${url.protocol}//${user}${password}${url.host}${url.pathname}${url.search === '' ? '' : '?***'}`;
  } catch {
    return `${scheme}***`;
  }
}

/** A value of the configuration, safe to quote in a message. `key` decides whether it could be a secret. */
export function showValue(key: string, value: unknown): string {
  if (value === null || value === undefined) return 'null';
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === 'object') return 'a map';
  if (secretName.test(key)) return '***';
  if (typeof value !== 'string') return String(value);
  if (/[/@]/.test(value) && /[:@]/.test(value)) return `"${cut(redactUrl(value))}"`;
  return JSON.stringify(cut(value));
}

function cut(text: string): string {
  return text.length > longestShown ? `${text.slice(0, longestShown)}...` : text;
}
