/**
 * A client that says what it is given and leaves; and what can be said against the answers that it got.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { Backend } from '../../src/protocol/codes.ts';
import { readErrorFields } from '../../src/protocol/read.ts';
import type { World } from './world.ts';

export interface Script {
  readonly chunks: readonly Buffer[];
  readonly token: string;
  readonly patience: number;
  readonly isDeaf: boolean;
}

const backendTypes: ReadonlySet<number> = new Set(Object.values(Backend));
const terminateByte = 0x58;

export interface Heard {
  readonly frames: readonly { readonly type: number; readonly body: Buffer }[];
  /** Bytes that are no whole frame. */
  readonly rest: number;
  readonly problem: string | undefined;
}

export function framesOf(bytes: Buffer): Heard {
  const frames: { type: number; body: Buffer }[] = [];
  let at = 0;
  while (at + 5 <= bytes.length) {
    const type = bytes[at] as number;
    const length = bytes.readInt32BE(at + 1);
    if (!backendTypes.has(type) || length < 4) {
      return { frames, rest: bytes.length - at, problem: `no message: ${bytes.subarray(at, at + 20).toString('hex')}` };
    }
    if (at + 1 + length > bytes.length) break;
    frames.push({ type, body: bytes.subarray(at + 5, at + 1 + length) });
    at += 1 + length;
  }
  return { frames, rest: bytes.length - at, problem: undefined };
}

/** Runs one; resolves with what is wrong with what it heard, undefined: nothing. */
export async function runScript(world: World, script: Script, foreign: (token: string) => boolean): Promise<string[]> {
  const socket = world.connect();
  const heard: Buffer[] = [];
  let isClosedByWeir = false;
  let hasLeft = false;
  socket.on('end', () => (isClosedByWeir = !hasLeft));
  const isClosed = new Promise<void>((resolve) => socket.once('close', resolve));
  if (!script.isDeaf) socket.on('data', (chunk: Buffer) => heard.push(chunk));
  for (const chunk of script.chunks) {
    socket.write(chunk);
    if (script.patience > 0) await turn();
  }
  for (let turns = 0; turns < script.patience; turns++) await turn();
  if (script.isDeaf) socket.on('data', () => undefined);
  hasLeft = true;
  socket.end();
  await isClosed;
  return complaints(script, Buffer.concat(heard), isClosedByWeir, foreign);
}

function complaints(script: Script, bytes: Buffer, isClosedByWeir: boolean, foreign: (token: string) => boolean) {
  const found: string[] = [];
  const { frames, rest, problem } = framesOf(bytes);
  if (problem !== undefined) found.push(problem);
  for (const { type, body } of frames) {
    if (type !== Backend.ErrorResponse) continue;
    const sqlstate = readErrorFields(body, 0, body.length).get('C') ?? '';
    if (!/^[0-9A-Z]{5}$/.test(sqlstate)) found.push(`an error with SQLSTATE "${sqlstate}"`);
    if (sqlstate === 'XX000') found.push(`an internal error: ${body.toString('latin1')}`);
  }
  for (const [, token] of bytes.toString('latin1').matchAll(/@([a-z]{6})@/g)) {
    if (token !== undefined && foreign(`@${token}@`) && `@${token}@` !== script.token)
      found.push(`heard ${token}, which is another client's`);
  }
  const mayHaveSaidGoodbye = script.chunks.some((chunk) => chunk.includes(terminateByte));
  if (isClosedByWeir && !script.isDeaf && !mayHaveSaidGoodbye) {
    const last = frames.at(-1);
    if (rest > 0) found.push('closed in the middle of a message');
    if (last?.type !== Backend.ErrorResponse) found.push('closed without an error');
  }
  return found;
}
