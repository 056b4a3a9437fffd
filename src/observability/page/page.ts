/**
 * The page at / for people: its files, and the stream of its figures. What it shows beyond the figures of /stats.json (who the
 * clients are, texts of statements) only operators may see: see mayShowAll(). Called by http.ts.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Config } from '../../config/config.ts';
import { loadAssets, sendAsset, type Assets } from '../page-assets.ts';
import { Feed, type FeedOptions } from './feed.ts';

type PageSetting = Config['httpPage'];

export interface PageOptions extends FeedOptions {
  /** http_page. */
  setting(): PageSetting;
}

export interface Page {
  /** @returns whether it has answered, or will */
  answer(path: string, request: IncomingMessage, response: ServerResponse): Promise<boolean>;
  /** Ends its streams: browsers come again. */
  close(): void;
}

export function createPage(options: PageOptions): Page {
  const feed = new Feed(options);
  let loading: Promise<Assets> | undefined;
  return {
    async answer(path, request, response) {
      if (options.setting() === 'off') return false;
      if (path !== '/' && path !== '/events' && !path.startsWith('/page/')) return false;
      const assets = await (loading ??= loadAssets());
      if (path === '/events') {
        openStream(feed, assets.build, options.setting, request, response);
        return true;
      }
      const asset = assets.byPath.get(path);
      if (asset !== undefined) sendAsset(asset, request, response);
      return asset !== undefined;
    },
    close: () => feed.close(),
  };
}

function openStream(
  feed: Feed,
  build: string,
  setting: () => PageSetting,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const refuse = (status: number, why: string): void => {
    response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8', 'Cache-Control': 'no-store' });
    response.end(request.method === 'HEAD' ? undefined : `${why}\n`);
  };
  // A page elsewhere could not read it, but use up the streams.
  if (request.headers['sec-fetch-site'] === 'cross-site') return refuse(403, 'only for the page of this Weir');
  if (request.method === 'HEAD') return refuse(200, '');
  const isLocal = isFromHere(request);
  const isOpen = feed.open(response, build, () => mayShowAll(setting(), isLocal));
  if (!isOpen) refuse(503, 'too many people look at this page: close some, or use /stats.json');
}

/** auto: to who is on this machine, or comes through a tunnel that ends here, but not to who comes through a proxy. */
function mayShowAll(setting: PageSetting, isLocal: boolean): boolean {
  return setting === 'full' || (setting === 'auto' && isLocal);
}

const loopback = /^(127\.|::1$|::ffff:127\.)/;
const proxyHeaders = ['forwarded', 'via', 'x-forwarded-for', 'x-forwarded-host', 'x-real-ip'];

function isFromHere({ socket, headers }: IncomingMessage): boolean {
  return loopback.test(socket.localAddress ?? '') && proxyHeaders.every((name) => headers[name] === undefined);
}
