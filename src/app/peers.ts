/**
 * Passes CancelRequests for clients of other Weirs, or PgBouncers, behind the same address on to them (settings peer_id and peers).
 * A request is passed on three times at most, so it cannot go round for ever. Made by reception.ts.
 */
import { sendCancel } from '../backend/cancel.ts';
import type { Config, NodeConfig } from '../config/config.ts';
import type { PeerAddress } from '../config/peers.ts';
import type { Log } from '../observability/types.ts';
import { hopsLeft, passedOn, peerOf } from './peer-key.ts';

/** To all peers together; those beyond are dropped, so that nobody can have Weir open connections without end. */
const mostUnderWay = 200;

export interface PeersParts {
  config(): Config;
  readonly log: Log;
  /** What became of a request. */
  count(outcome: PeerOutcome): void;
}

/** expired: it was passed on too often already; unknown: there is no such peer; busy: too many are under way. */
export type PeerOutcome = 'passed_on' | 'failed' | 'expired' | 'unknown' | 'busy';

export class Peers {
  private readonly parts: PeersParts;
  private underWay = 0;

  constructor(parts: PeersParts) {
    this.parts = parts;
  }

  /**
   * A CancelRequest for no client of this Weir. Resolves when the peer has closed the connection: it is done then.
   * @param id number of the client, with the peer in it
   */
  async passOn(id: number, secret: Buffer): Promise<void> {
    const config = this.parts.config();
    const to = peerOf(id);
    if (config.peerId === 0 || to === config.peerId || to === 0) return;
    const peer = config.peers.find((each) => each.id === to);
    const why = peer === undefined ? 'unknown' : this.whyNot(secret);
    if (peer === undefined || why !== undefined) {
      const words = `a CancelRequest for a client of peer ${to} was not passed on: ${reasons[why ?? 'unknown']}`;
      this.parts.log('info', 'peer_cancel_dropped', words, { peer: to });
      return this.parts.count(why ?? 'unknown');
    }
    this.underWay++;
    this.parts.count(await this.send(peer, id, passedOn(secret), config));
    this.underWay--;
  }

  private whyNot(secret: Buffer): 'expired' | 'busy' | undefined {
    if (hopsLeft(secret) === 0) return 'expired';
    return this.underWay >= mostUnderWay ? 'busy' : undefined;
  }

  private async send(peer: PeerAddress, processId: number, secretKey: Buffer, config: Config): Promise<PeerOutcome> {
    const timeoutMs = config.pool.serverConnectTimeoutMs;
    try {
      await sendCancel({ node: nodeOf(peer), tls: config.tls.server, processId, secretKey, timeoutMs });
      return 'passed_on';
    } catch (error) {
      this.parts.log('warn', 'peer_cancel_failed', (error as Error).message, { peer: peer.id });
      return 'failed';
    }
  }
}

const reasons: Readonly<Record<'unknown' | 'expired' | 'busy', string>> = {
  unknown: 'peers does not name it',
  expired: 'it was passed on three times already',
  busy: `${mostUnderWay} are under way`,
};

function nodeOf({ id, host, port }: PeerAddress): NodeConfig {
  return { name: `peer ${id}`, host, port, database: undefined, user: undefined, password: undefined, weight: 1 };
}
