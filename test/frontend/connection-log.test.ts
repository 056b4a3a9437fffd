/** The words of the connection log, and that a client cannot forge a line of it. */
import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { expect, it } from 'vitest';
import { WrongScramPassword } from '../../src/auth/outcome.ts';
import { WeirError } from '../../src/errors/errors.ts';
import { PgbouncerConnectionLog, pgbouncerWords } from '../../src/frontend/connection-log.ts';

const socketAt = (remoteAddress: string, remotePort: number): Socket =>
  Object.assign(new EventEmitter(), { remoteAddress, remotePort }) as unknown as Socket;

function bench(): { readonly connections: PgbouncerConnectionLog; readonly lines: string[]; pass(ms: number): void } {
  const lines: string[] = [];
  let nowMs = 0;
  const log = (level: string, _event: string, message: string): void => void lines.push(`${level} ${message}`);
  const connections = new PgbouncerConnectionLog(log, () => nowMs);
  return { connections, lines, pass: (ms) => void (nowMs += ms) };
}

const named = { user: 'app', database: 'shop', hasTls: false, isLocal: false };

it('has the log-in and the end of a client, with its age', () => {
  const { connections, lines, pass } = bench();
  const socket = socketAt('10.0.0.9', 50123);
  connections.attempt(socket, named);
  pass(61_500);
  socket.emit('close');
  expect(lines).toEqual([
    'info C-0x000000000001: shop/app@10.0.0.9:50123 login attempt: db=shop user=app tls=no',
    'info C-0x000000000001: shop/app@10.0.0.9:50123 closing because: client close request (age=61s)',
  ]);
});

it('has why Weir ends it at once, and once', () => {
  const { connections, lines } = bench();
  const socket = socketAt('::1', 1);
  connections.attempt(socket, { ...named, hasTls: true });
  connections.ending('::1', 1, new WeirError('killed'));
  connections.ending('::1', 1, new WeirError('shutting_down'));
  expect(lines).toHaveLength(3);
  socket.emit('close');
  expect(lines.slice(1)).toEqual([
    'info C-0x000000000001: shop/app@[::1]:1 closing because: admin forced disconnect (age=0s)',
    'warn C-0x000000000001: shop/app@[::1]:1 pooler error: admin forced disconnect',
  ]);
  connections.ending('::1', 1, new WeirError('killed'));
  expect(lines).toHaveLength(3);
});

it('has a refused log-in, of who has said his name and of who has not', () => {
  const { connections, lines } = bench();
  const socket = socketAt('10.0.0.9', 2);
  connections.attempt(socket, named);
  connections.refused(socket, new WrongScramPassword('app'), named);
  socket.emit('close');
  const nobody = { hasTls: false, isLocal: true };
  connections.refused(socketAt('', 0), new WeirError('login_timeout', { seconds: 60 }), nobody);
  expect(lines.slice(1)).toEqual([
    'info C-0x000000000001: shop/app@10.0.0.9:2 closing because: SASL authentication failed (age=0s)',
    'warn C-0x000000000001: shop/app@10.0.0.9:2 pooler error: SASL authentication failed',
    'info C-0x000000000002: (nodb)/(nouser)@unix:0 closing because: client_login_timeout (age=0s)',
    'warn C-0x000000000002: (nodb)/(nouser)@unix:0 pooler error: client_login_timeout',
  ]);
});

it('keeps a line one line, and a name one word', () => {
  const { connections, lines } = bench();
  const forged = 'x@1.2.3.4:5 closing because: SASL authentication failed (age=0s)\nLOG';
  connections.attempt(socketAt('10.0.0.9', 3), { ...named, user: forged, database: 'a b' });
  expect(lines[0]).not.toContain('\n');
  expect(lines[0]).not.toMatch(/closing because: /);
  expect(lines[0]).toContain('db=a?b user=x@1.2.3.4:5?closing?because:');
  expect(pgbouncerWords(new WeirError('no_such_database', { database: 'a b\n' }))).toBe('no such database: a?b?');
  expect(pgbouncerWords(new WeirError('authentication_failed', { user: 'app' }))).toBe(
    'password authentication failed',
  );
  expect(pgbouncerWords(new WeirError('memory_wait'))).toBe(new WeirError('memory_wait').message);
});
