/**
 * The files of the page: those of web/, and uPlot with its licence, as npm has installed it. A fixed list, read once, so that no
 * path of a request ever becomes that of a file. Used by page/page.ts. Here, and not in page/, because the bundle lies as deep below the root.
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createRequire } from 'node:module';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';

const web = new URL('../../web/', import.meta.url);

const scripts = ['main', 'theme', 'format', 'dom', 'stream', 'points', 'charts', 'colors', 'head', 'sections', 'table'];
const icons = ['icon-fine', 'icon-warn', 'icon-bad', 'icon-off'];

const types: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
  svg: 'image/svg+xml',
  txt: 'text/plain; charset=utf-8',
};

/** All that the page needs comes from Weir; nothing of a page elsewhere may frame it, or be reached from it. */
export const policy = [
  "default-src 'self'",
  "object-src 'none'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
].join('; ');

interface Asset {
  readonly type: string;
  readonly etag: string;
  readonly body: Buffer;
  readonly packed: Buffer;
}

export interface Assets {
  /** Another one in another version of the page. */
  readonly build: string;
  readonly byPath: ReadonlyMap<string, Asset>;
}

/** By the path of the request, where the file is. */
function files(): Map<string, URL | string> {
  const found = new Map<string, URL | string>([['/', new URL('index.html', web)]]);
  const add = (name: string): void => void found.set(`/page/${name}`, new URL(`page/${name}`, web));
  add('page.css');
  for (const name of scripts) add(`${name}.js`);
  for (const name of icons) add(`${name}.svg`);
  const { resolve } = createRequire(import.meta.url);
  found.set('/page/uplot/uPlot.esm.js', resolve('uplot/dist/uPlot.esm.js'));
  found.set('/page/uplot/uPlot.min.css', resolve('uplot/dist/uPlot.min.css'));
  found.set('/page/uplot/LICENSE.txt', resolve('uplot/LICENSE'));
  return found;
}

export async function loadAssets(): Promise<Assets> {
  const all = createHash('sha256');
  const byPath = new Map<string, Asset>();
  for (const [path, file] of files()) {
    const body = await readFile(file);
    const digest = createHash('sha256').update(body).digest('base64url').slice(0, 22);
    all.update(digest);
    const type = types[/\.(\w+)$/.exec(path)?.[1] ?? 'html'] ?? 'application/octet-stream';
    byPath.set(path, { type, etag: `"${digest}"`, body, packed: await promisify(gzip)(body) });
  }
  return { build: all.digest('base64url').slice(0, 22), byPath };
}

export function sendAsset(asset: Asset, request: IncomingMessage, response: ServerResponse): void {
  const headers = {
    'Content-Type': asset.type,
    'Content-Security-Policy': policy,
    'Cache-Control': 'no-cache',
    'Referrer-Policy': 'no-referrer',
    'X-Content-Type-Options': 'nosniff',
    'Cross-Origin-Resource-Policy': 'same-origin',
    Vary: 'Accept-Encoding',
    ETag: asset.etag,
  };
  if (request.headers['if-none-match'] === asset.etag) return void response.writeHead(304, headers).end();
  const isPacked = /\bgzip\b/.test(String(request.headers['accept-encoding'] ?? ''));
  const body = isPacked ? asset.packed : asset.body;
  response.writeHead(200, {
    ...headers,
    'Content-Length': body.length,
    ...(isPacked && { 'Content-Encoding': 'gzip' }),
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}
