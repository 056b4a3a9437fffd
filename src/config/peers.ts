/**
 * The type of the setting `peers`: a map of peer_id to HOST:PORT, or DIRECTORY:PORT for a Unix socket. Used by settings-peers.ts and
 * by SHOW PEERS.
 */
import { formatHostPort, hostPort, type Parsed, type ValueType } from './values.ts';
import { entriesOf, readYaml } from './yaml.ts';

export interface PeerAddress {
  readonly id: number;
  readonly host: string;
  readonly port: number;
}

/** PgBouncer's. */
export const largestPeerId = 16_383;
/** Each CancelRequest looks for its peer among them. */
const mostPeers = 1_000;
const tcp = hostPort();

function addressOf(raw: unknown): Pick<PeerAddress, 'host' | 'port'> | undefined {
  const socket = typeof raw === 'string' ? /^(\/[^\0]*?):(\d{1,5})$/.exec(raw.trim()) : null;
  const [, dir, port] = socket ?? [];
  if (dir !== undefined) return { host: dir, port: Number(port) };
  const parsed = tcp.parse(raw);
  return 'value' in parsed ? parsed.value : undefined;
}

const isUsable = ({ host, port }: Pick<PeerAddress, 'host' | 'port'>): boolean =>
  host !== '*' && port >= 1 && port <= 65_535;

export function peerMap(): ValueType<readonly PeerAddress[]> {
  const allowed = `a map of peer_id to address, such as { 1: 10.0.0.1:6432, 2: /tmp/weir2:6432 } (at most ${mostPeers})`;
  const parse = (raw: unknown): Parsed<readonly PeerAddress[]> => {
    const entries = entriesOf(raw);
    if (entries === undefined || entries.length > mostPeers) return { refused: `is not ${allowed}` };
    const peers: PeerAddress[] = [];
    for (const [name, value] of entries) {
      const id = /^[1-9]\d{0,4}$/.test(name) ? Number(name) : Infinity;
      const address = addressOf(value);
      if (id > largestPeerId)
        return { refused: `is wrong: ${name.slice(0, 63)} is not a peer_id from 1 to ${largestPeerId}` };
      if (address === undefined || !isUsable(address))
        return { refused: `is wrong: the address of peer ${id} is not HOST:PORT or DIRECTORY:PORT` };
      peers.push({ id, ...address });
    }
    return { value: peers };
  };
  const parseText = (text: string): Parsed<readonly PeerAddress[]> => {
    if (/^\s*(null|none|off)?\s*$/i.test(text)) return { value: [] };
    const { root, problems } = readYaml(text);
    return problems.length > 0 ? { refused: `is not ${allowed}` } : parse(root);
  };
  const format = (peers: readonly PeerAddress[]): string =>
    `{${peers.map((peer) => `${peer.id}: "${formatHostPort(peer)}"`).join(', ')}}`;
  return { name: 'peers', allowed, parse, parseText, format };
}
