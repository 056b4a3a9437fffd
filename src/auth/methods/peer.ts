/**
 * Method `peer` of auth.hba_file: the system user at the other end of a Unix socket. Node cannot ask the kernel who that is
 * (SO_PEERCRED), so whom such a line concerns is refused, with PostgreSQL's error. Named to operators by hba/load.ts.
 */
import { WeirError } from '../../errors/errors.ts';
import type { AuthMethod } from '../types.ts';

export const whyNoPeer = 'Node cannot ask the kernel who is at the other end of a socket';

export const peer: AuthMethod = ({ user }) =>
  Promise.resolve({ isOk: false, error: new WeirError('peer_failed', { user }), why: `peer: ${whyNoPeer}` });
