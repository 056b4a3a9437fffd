/**
 * POST /invalidate: makes cached answers invalid by tags and patterns, for programs that know the token of
 * http_invalidate_token. Without that setting there is no such path. Called by http.ts.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { json, plain, type Answer } from './http-answer.ts';

export interface InvalidateDoor {
  /** http_invalidate_token; undefined: there is no such path. */
  token(): string | undefined;
  /** In all workers, and for all Weirs that share the Redis. */
  invalidate(tags: readonly string[], patterns: readonly string[]): Promise<InvalidateReply>;
  /** @returns why it is no pattern, in words */
  patternProblem(pattern: string): string | undefined;
}

export interface InvalidateReply {
  readonly tags: number;
  readonly entries: number;
  /** What did not go as it should, such as a worker that does not answer. */
  readonly notices: readonly string[];
}

const maxBodyBytes = 64 * 1024;
/** Of tags, and of patterns, in one request. */
const maxNames = 64;
const maxChars = 200;

interface Wanted {
  readonly tags: readonly string[];
  readonly patterns: readonly string[];
}

export async function answerInvalidate(door: InvalidateDoor, token: string, request: IncomingMessage): Promise<Answer> {
  if (request.method !== 'POST') return { status: 405, type: plain, body: 'only POST\n', headers: { Allow: 'POST' } };
  if (!isAuthorized(request.headers.authorization, token)) {
    const body = 'send the header Authorization: Bearer with the token of http_invalidate_token\n';
    return { status: 401, type: plain, body, headers: { 'WWW-Authenticate': 'Bearer' } };
  }
  const text = await readBody(request);
  if (text === undefined) {
    const body = `the body has more than ${maxBodyBytes} bytes\n`;
    return { status: 413, type: plain, body, headers: { Connection: 'close' } };
  }
  const wanted = read(text, door);
  if (typeof wanted === 'string') return { status: 400, type: plain, body: `${wanted}\n` };
  const { tags, entries, notices } = await door.invalidate(wanted.tags, wanted.patterns);
  const reply = { tags, entries, ...(notices.length > 0 && { notices }) };
  return { status: 200, type: json, body: `${JSON.stringify(reply)}\n` };
}

/** Compares digests, so that the time says nothing about the token, nor about its length. */
function isAuthorized(header: string | undefined, token: string): boolean {
  const given = /^Bearer +(\S+) *$/i.exec(header ?? '')?.[1] ?? '';
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(token)) && given !== '';
}

/** @returns undefined if it is too large; the rest is not read then */
async function readBody(request: IncomingMessage): Promise<string | undefined> {
  if (Number(request.headers['content-length'] ?? 0) > maxBodyBytes) return undefined;
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= maxBodyBytes) return void chunks.push(chunk);
      chunks.length = 0;
      resolve(undefined);
    });
    request.on('end', () => resolve(Buffer.concat(chunks).toString('utf8')));
    request.on('error', reject);
    request.on('close', () => reject(new Error('the client has gone')));
  });
}

/** @returns what is wrong with it, as text */
function read(text: string, door: InvalidateDoor): Wanted | string {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return 'the body is not JSON: send {"tags": ["a"], "patterns": ["user:*"]}';
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'the body is not a JSON object';
  for (const key of Object.keys(value))
    if (key !== 'tags' && key !== 'patterns') return 'the body may have "tags" and "patterns", and nothing else';
  const { tags = [], patterns = [] } = value as Record<string, unknown>;
  if (!isNames(tags)) return listWanted('tags');
  if (!isNames(patterns)) return listWanted('patterns');
  if (tags.length + patterns.length === 0) return 'the body names no tags and no patterns';
  for (const pattern of patterns) {
    const problem = door.patternProblem(pattern);
    if (problem !== undefined) return `a pattern ${problem}`;
  }
  return { tags, patterns };
}

const listWanted = (what: string): string =>
  `"${what}" is not a list of at most ${maxNames} texts of 1 to ${maxChars} characters`;

function isNames(value: unknown): value is string[] {
  const isName = (one: unknown): boolean => typeof one === 'string' && one !== '' && one.length <= maxChars;
  return Array.isArray(value) && value.length <= maxNames && value.every(isName);
}
