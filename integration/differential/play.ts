/**
 * Plays a script against one address and writes down everything that came back, one line a message, in the order of the
 * steps. What differs from one run to the next without meaning anything (pids, keys, OIDs of what the script made) is
 * written so that it does not.
 */
import { Backend, Frontend } from '../../src/protocol/codes.ts';
import { line, terminate, type Sent } from './messages.ts';
import { RawClient, type Address, type Received } from './raw-client.ts';
import type { Script, Step } from './script.ts';

const firstUserOid = 16384;
const readyForQuery: ReadonlySet<number> = new Set([Frontend.Query, Frontend.Sync, Frontend.FunctionCall]);
const answered: ReadonlySet<number> = new Set([
  Frontend.Parse,
  Frontend.Bind,
  Frontend.Describe,
  Frontend.Execute,
  Frontend.Close,
]);
const enders: ReadonlySet<number> = new Set([
  Backend.ParseComplete,
  Backend.BindComplete,
  Backend.RowDescription,
  Backend.NoData,
  Backend.CommandComplete,
  Backend.EmptyQueryResponse,
  Backend.PortalSuspended,
  Backend.CloseComplete,
]);

export type Transcript = string[];

/** All that a client says at once in one write, or each message by itself a while after the one before. */
export type Pace = 'at once' | 'one by one';
/** Longer than Weir waits for the rest of a batch. */
const pauseMs = 8;

class Player {
  private readonly address: Address;
  private readonly pace: Pace;
  private readonly clients = new Map<string, RawClient>();
  private readonly oids = new Map<number, number>();
  /** What each client takes for the pid of its server. */
  private readonly pids = new Map<RawClient, number>();
  private readonly transcript: Transcript = [];
  private readonly between: () => Promise<unknown>;

  constructor(address: Address, pace: Pace, between: () => Promise<unknown>) {
    this.address = address;
    this.pace = pace;
    this.between = between;
  }

  async play(script: Script): Promise<Transcript> {
    try {
      for (const step of script.steps) {
        await this.step(step);
        await this.between();
      }
      for (const name of [...this.clients.keys()]) await this.leave(name);
    } finally {
      for (const client of this.clients.values()) client.close();
    }
    return this.transcript;
  }

  private async step(step: Step): Promise<void> {
    if (step.do === 'connect') {
      this.transcript.push(`${step.client}: connects`);
      await this.connect(step.client, step.parameters);
      return;
    }
    if (step.do === 'leave') return this.leave(step.client);
    const client = this.clients.get(step.client) ?? (await this.connect(step.client, {}));
    if (step.do === 'hear') {
      const type = step.type.charCodeAt(0);
      const isIn = await client.until(() => client.received.filter((each) => each.type === type).length >= step.count);
      this.transcript.push(`${step.client}: hears ${step.type}`);
      return this.write(client, isIn);
    }
    this.transcript.push(`${step.client}: ${step.messages.map((message) => message.label).join(' / ')}`);
    await this.send(client, step.messages);
    if (!step.waits) return;
    const isDone = awaited(step.messages);
    const isIn = await client.until(() => isDone(client.received));
    this.write(client, isIn);
  }

  private async send(client: RawClient, messages: readonly Sent[]): Promise<void> {
    if (this.pace === 'at once') return client.send(Buffer.concat(messages.map(({ bytes }) => bytes)));
    for (const [i, { bytes }] of messages.entries()) {
      if (i > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
      client.send(bytes);
    }
  }

  private async connect(name: string, parameters: Readonly<Record<string, string>>): Promise<RawClient> {
    const client = await RawClient.open(this.address, parameters);
    this.clients.set(name, client);
    const isIn = await client.until(() => client.received.some(({ type }) => type === Backend.ReadyForQuery));
    const key = client.received.find(({ type }) => type === Backend.BackendKeyData);
    if (key !== undefined) this.pids.set(client, key.body.readInt32BE(0));
    const kept = client.received.filter(({ type }) => type !== Backend.BackendKeyData);
    const isStatus = ({ type }: Received): number => (type === Backend.ParameterStatus ? 0 : 1);
    kept.sort((one, two) => isStatus(one) - isStatus(two) || Buffer.compare(one.body, two.body));
    client.received.splice(0, Infinity, ...kept);
    if (Object.keys(parameters).length > 0) this.write(client, isIn);
    else client.received.length = 0;
    return client;
  }

  private async leave(name: string): Promise<void> {
    const client = this.clients.get(name);
    if (client === undefined) return;
    this.clients.delete(name);
    this.transcript.push(`${name}: leaves`);
    // Not what is said to somebody who has said good-bye.
    for (const message of client.received.splice(0)) this.transcript.push(`   ${this.print(message, client)}`);
    if (!client.isClosed) client.send(terminate.bytes);
    if (!(await client.until(() => client.isClosed))) this.transcript.push('   (is not let go)');
    client.close();
  }

  private write(client: RawClient, isIn: boolean): void {
    const lines = client.received.map((message) => `   ${this.print(message, client)}`);
    this.transcript.push(...inOneOrder(lines));
    client.received.length = 0;
    if (!isIn) this.transcript.push('   (the rest did not come)');
    else if (client.isClosed) this.transcript.push('   (closed)');
  }

  private print({ type, body }: Received, client: RawClient): string {
    if (type === Backend.ErrorResponse || type === Backend.NoticeResponse) {
      const fields = body
        .toString('utf8')
        .split('\0')
        .filter((field) => field !== '');
      return `${type === Backend.ErrorResponse ? 'Error' : 'Notice'} ${fields.join(' | ')}`;
    }
    if (type === Backend.NotificationResponse) {
      const isOwn = body.readInt32BE(0) === this.pids.get(client);
      return `Notification ${isOwn ? 'of its own ' : ''}${line(type, body.subarray(4))}`;
    }
    if (type === Backend.RowDescription) return line(type, this.withoutOids(body, columnOids(body)));
    if (type === Backend.ParameterDescription) {
      const count = body.readInt16BE(0);
      const places = Array.from({ length: count }, (_, i) => 2 + 4 * i);
      return line(type, this.withoutOids(body, places));
    }
    return line(type, body);
  }

  /** OIDs of what was made in this run, numbered as they appear. */
  private withoutOids(body: Buffer, places: readonly number[]): Buffer {
    const out = Buffer.from(body);
    for (const at of places) {
      const oid = body.readUInt32BE(at);
      if (oid < firstUserOid) continue;
      const number = this.oids.get(oid) ?? this.oids.size + 1;
      this.oids.set(oid, number);
      out.writeUInt32BE(1_000_000 + number, at);
    }
    return out;
  }
}

/** ParameterStatus that come together come in the order in which the server's settings have once been changed. */
function inOneOrder(lines: readonly string[]): string[] {
  const isStatus = (line: string | undefined): boolean => line?.startsWith('   ParameterStatus ') === true;
  const out: string[] = [];
  for (let at = 0; at < lines.length;) {
    let end = at + 1;
    if (isStatus(lines[at])) while (isStatus(lines[end])) end++;
    out.push(...lines.slice(at, end).sort());
    at = end;
  }
  return out;
}

/** Where a RowDescription has the OIDs of tables and types. */
function columnOids(body: Buffer): number[] {
  const places: number[] = [];
  let at = 2;
  for (let column = body.readInt16BE(0); column > 0; column--) {
    at = body.indexOf(0, at) + 1;
    places.push(at, at + 6);
    at += 18;
  }
  return places;
}

/** Is the answer to these messages complete? */
function awaited(messages: readonly Sent[]): (received: readonly Received[]) => boolean {
  const last = messages.at(-1)?.type;
  const count = (types: ReadonlySet<number>): number => messages.filter(({ type }) => types.has(type)).length;
  const endsCopy = messages.some(({ type }) => type === Frontend.CopyDone || type === Frontend.CopyFail);
  if (last === undefined || last === Frontend.CopyData) return () => true;
  if (last === Frontend.Terminate) return () => false;
  if (last === Frontend.Flush) {
    const wanted = count(answered);
    return (received) =>
      received.filter(({ type }) => enders.has(type)).length >= wanted ||
      received.some(({ type }) => type === Backend.ErrorResponse || type === Backend.CopyInResponse);
  }
  const wanted = Math.max(1, count(readyForQuery));
  return (received) =>
    received.filter(({ type }) => type === Backend.ReadyForQuery).length >= wanted ||
    (!endsCopy && received.at(-1)?.type === Backend.CopyInResponse);
}

/** @param between called after each step */
export function play(
  script: Script,
  address: Address,
  pace: Pace = 'at once',
  between: () => Promise<unknown> = () => Promise.resolve(),
): Promise<Transcript> {
  return new Player(address, pace, between).play(script);
}
