/**
 * Which worker's settings count for the supervisor: those told last by one that serves. Fails when a worker that is starting, and does
 * not know yet what operators have set, changes them.
 */
import { expect, it } from 'vitest';
import { SettingsInForce } from '../../src/workers/settings-in-force.ts';
import { supervisorSettings, type SupervisorSettings } from '../../src/workers/settings-topics.ts';
import { defaults } from '../config/defaults.ts';

const settings = (maxClientConn: number): SupervisorSettings => supervisorSettings({ ...defaults, maxClientConn });

class Worker {
  state = 'starting';
  tell: (settings: SupervisorSettings) => unknown = () => undefined;
  readonly channel = {
    on: (topic: string, handler: (settings: never) => unknown): void => {
      if (topic === 'settings') this.tell = handler as (settings: SupervisorSettings) => unknown;
    },
  };
}

it('counts from when the worker serves', () => {
  const inForce = new SettingsInForce(settings(100));
  const [old, fresh] = [new Worker(), new Worker()];
  inForce.attach(old);
  inForce.attach(fresh);
  expect(inForce.current.maxClientConn).toBe(100);
  old.tell(settings(50));
  old.state = 'ready';
  inForce.serves(old);
  expect(inForce.current.maxClientConn).toBe(50);
  old.tell(settings(25));
  expect(inForce.current.maxClientConn).toBe(25);
  // The file says 50, an operator has said 25.
  fresh.tell(settings(50));
  expect(inForce.current.maxClientConn).toBe(25);
  fresh.tell(settings(25));
  fresh.state = 'ready';
  inForce.serves(fresh);
  expect(inForce.current.maxClientConn).toBe(25);
});

it('a worker of the supervisor before has told nothing yet', () => {
  const inForce = new SettingsInForce(settings(100));
  inForce.serves(new Worker());
  expect(inForce.current.maxClientConn).toBe(100);
});
