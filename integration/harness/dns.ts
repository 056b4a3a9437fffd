/**
 * A DNS server over UDP in this process: A, AAAA and SRV records with their TTL, NXDOMAIN for names that it does not have.
 * It can fail, fall silent and come back. For the tests of replicas that are found in DNS.
 */
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { isIPv6 } from 'node:net';

const types = { A: 1, AAAA: 28, SRV: 33 } as const;
export type RecordType = keyof typeof types;

export interface SrvRecord {
  readonly target: string;
  readonly port: number;
  readonly priority?: number;
  readonly weight?: number;
}

interface Zone {
  readonly ttl: number;
  readonly data: readonly Buffer[];
}

/** What it does with questions of one type, or of all. */
export type DnsMood = 'answer' | 'silent' | 'servfail';

export class DnsServer {
  /** As name and type, in order. */
  readonly asked: string[] = [];
  mood: DnsMood = 'answer';
  /** Questions of these types get SERVFAIL. */
  readonly failing = new Set<RecordType>();
  readonly #socket: Socket;
  readonly #zones = new Map<string, Zone>();

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('message', (message, from) => this.#answer(message, from));
  }

  static async start(): Promise<DnsServer> {
    const socket = createSocket('udp4');
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject).bind(0, '127.0.0.1', resolve);
    });
    return new DnsServer(socket);
  }

  /** For routing.dns_servers. */
  get address(): string {
    return `127.0.0.1:${this.#socket.address().port}`;
  }

  /** Addresses of both families; the ones before are gone. @param ttl in seconds */
  setAddresses(name: string, addresses: readonly string[], ttl = 1): void {
    this.#set(name, 'A', ttl, addresses.filter((each) => !isIPv6(each)).map(v4));
    this.#set(name, 'AAAA', ttl, addresses.filter(isIPv6).map(v6));
  }

  setServices(name: string, records: readonly SrvRecord[], ttl = 1): void {
    this.#set(name, 'SRV', ttl, records.map(srv));
  }

  /** How often it was asked that. */
  timesAsked(name: string, type: RecordType): number {
    return this.asked.filter((each) => each === `${name} ${type}`).length;
  }

  stop(): Promise<void> {
    return new Promise((resolve) => this.#socket.close(() => resolve()));
  }

  #set(name: string, type: RecordType, ttl: number, data: readonly Buffer[]): void {
    if (data.length > 0) this.#zones.set(`${name} ${type}`, { ttl, data });
    else this.#zones.delete(`${name} ${type}`);
  }

  #answer(message: Buffer, from: RemoteInfo): void {
    const question = questionIn(message);
    if (question === undefined) return;
    const { name, type, end } = question;
    this.asked.push(`${name} ${type}`);
    if (this.mood === 'silent') return;
    const isFailing = this.mood === 'servfail' || this.failing.has(type);
    const zone = isFailing ? undefined : this.#zones.get(`${name} ${type}`);
    const isName = [...this.#zones.keys()].some((key) => key.startsWith(`${name} `));
    const header = Buffer.alloc(12);
    message.copy(header, 0, 0, 2);
    // A response to a standard query; recursion is available. 2: SERVFAIL, 3: NXDOMAIN.
    header.writeUInt16BE(0x8180 | (isFailing ? 2 : isName ? 0 : 3), 2);
    header.writeUInt16BE(1, 4);
    header.writeUInt16BE(zone?.data.length ?? 0, 6);
    const records = (zone?.data ?? []).map((data) => record(type, zone?.ttl ?? 0, data));
    this.#socket.send(Buffer.concat([header, message.subarray(12, end), ...records]), from.port, from.address);
  }
}

function questionIn(
  message: Buffer,
): { readonly name: string; readonly type: RecordType; readonly end: number } | undefined {
  const labels: string[] = [];
  let at = 12;
  for (let length = message[at] ?? 0; length > 0; length = message[at] ?? 0) {
    labels.push(message.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  const number = message.readUInt16BE(at + 1);
  const type = (Object.keys(types) as RecordType[]).find((each) => types[each] === number);
  return type === undefined ? undefined : { name: labels.join('.').toLowerCase(), type, end: at + 5 };
}

function record(type: RecordType, ttl: number, data: Buffer): Buffer {
  const head = Buffer.alloc(12);
  // The name of the question, which begins at byte 12.
  head.writeUInt16BE(0xc00c, 0);
  head.writeUInt16BE(types[type], 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt32BE(ttl, 6);
  head.writeUInt16BE(data.length, 10);
  return Buffer.concat([head, data]);
}

const v4 = (address: string): Buffer => Buffer.from(address.split('.').map(Number));

function v6(address: string): Buffer {
  const [left = '', right] = address.split('::');
  const words = (text: string): number[] => (text === '' ? [] : text.split(':').map((word) => parseInt(word, 16)));
  const [first, last] = [words(left), words(right ?? '')];
  const all = [...first, ...Array.from({ length: 8 - first.length - last.length }, () => 0), ...last];
  return Buffer.from(all.flatMap((word) => [word >> 8, word & 255]));
}

function srv({ target, port, priority = 0, weight = 0 }: SrvRecord): Buffer {
  const head = Buffer.alloc(6);
  [priority, weight, port].forEach((number, index) => head.writeUInt16BE(number, index * 2));
  const labels = target.split('.').flatMap((label) => [Buffer.from([label.length]), Buffer.from(label)]);
  return Buffer.concat([head, ...(target === '' ? [] : labels), Buffer.from([0])]);
}
