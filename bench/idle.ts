/**
 * What an idle client costs: memory of the proxy before and after thousands of logged-in clients that do nothing.
 */
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { users } from '../integration/harness/template.ts';
import { DATABASE, startPgBouncer, startWeirContestant } from './contestants.ts';
import type { Contestant } from './contestants.ts';
import type { BenchContext } from './context.ts';
import { openFilesLimit, residentBytes } from './machine.ts';
import { atMost } from './report.ts';
import type { Row, Section } from './report.ts';

const WANTED = 5000;
/** Log in and out again before the first look, so that what is allocated once is not counted. */
const WARM_UP = 300;
const AT_ONCE = 50;

/** StartupMessage (manual, Message Formats): length, protocol 3.0, name and value pairs, a zero byte. */
function startupMessage(): Buffer {
  const body = Buffer.from(`user\0${users.trust}\0database\0${DATABASE}\0\0`);
  const head = Buffer.alloc(8);
  head.writeInt32BE(8 + body.length, 0);
  head.writeInt32BE(3 << 16, 4);
  return Buffer.concat([head, body]);
}

/** ReadyForQuery, idle: what a log-in ends with. */
const readyForQuery = Buffer.from([0x5a, 0, 0, 0, 5, 0x49]);

export function logIn(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    let got = Buffer.alloc(0);
    const socket = connect(port, '127.0.0.1', () => socket.write(startupMessage()));
    socket.once('error', reject);
    socket.once('close', () => reject(new Error(`log-in refused: ${got.toString('latin1')}`)));
    socket.on('data', (chunk: Buffer) => {
      got = Buffer.concat([got, chunk]);
      if (!got.subarray(-readyForQuery.length).equals(readyForQuery)) return;
      socket
        .removeAllListeners('close')
        .removeAllListeners('data')
        .on('error', () => undefined);
      resolve(socket);
    });
  });
}

export async function logInMany(port: number, count: number): Promise<Socket[]> {
  const sockets: Socket[] = [];
  while (sockets.length < count) {
    const batch = Math.min(AT_ONCE, count - sockets.length);
    sockets.push(...(await Promise.all(Array.from({ length: batch }, () => logIn(port)))));
  }
  return sockets;
}

async function bytesPerClient(contestant: Contestant, clients: number): Promise<number | undefined> {
  if (contestant.pid === undefined) return undefined;
  for (const socket of await logInMany(contestant.port, WARM_UP)) socket.destroy();
  const before = residentBytes(contestant.pid);
  const sockets = await logInMany(contestant.port, clients);
  const after = residentBytes(contestant.pid);
  for (const socket of sockets) socket.destroy();
  return before === undefined || after === undefined ? undefined : (after - before) / clients;
}

export async function idleClients(context: BenchContext): Promise<Section> {
  const room = openFilesLimit() - 500;
  const clients = Math.min(context.isQuick ? 1000 : WANTED, room);
  const notes = clients < WANTED ? [`${clients} clients instead of ${WANTED} (quick run, or ulimit -n).`] : [];
  const rows: Row[] = [];
  const weir = await startWeirContestant(context.cluster, 'Weir', { auth: { type: 'trust' } });
  const bouncer = await startPgBouncer(context.cluster, 'trust');
  let weirKb: number | undefined;
  for (const contestant of [bouncer, weir]) {
    if (contestant === undefined) continue;
    const bytes = await bytesPerClient(contestant, clients);
    const kb = bytes === undefined ? undefined : bytes / 1024;
    if (contestant === weir) weirKb = kb;
    rows.push({ label: contestant.name, cells: [kb] });
    context.progress(`  ${contestant.name}: ${kb?.toFixed(1) ?? '-'} KB a client`);
    await contestant.stop();
  }
  return {
    title: 'Idle clients',
    about: `Resident memory of the proxy for each of ${clients} logged-in clients that do nothing.`,
    columns: ['', 'KB a client'],
    rows,
    targets: [atMost(`${WANTED} idle clients: at most 12 KB each`, weirKb, 12, ' KB')],
    notes,
  };
}
