/**
 * What a worker shares with the others about the servers: the monitors of one of them, the log-ins that clients have
 * proven, and what servers report at log-in. Made by parts.ts in each of several workers.
 */
import type { Proven } from '../auth/types.ts';
import { ProbeError } from '../topology/probe.ts';
import { ServerMonitors } from '../topology/server-monitors.ts';
import { systemClock } from '../util/clock.ts';
import { sharedTime } from '../workers/shared-time.ts';
import { SharedMonitors } from '../workers/shared-monitors.ts';
import type { WorkerLink } from '../workers/worker-link.ts';
import type { Credentials } from './credentials.ts';
import type { Current } from './current.ts';
import type { Directory } from './directory.ts';

export interface WorkerMonitorsParts {
  readonly worker: WorkerLink;
  readonly current: Current;
  readonly credentials: Credentials;
  /** It does not exist yet when the monitors are made. */
  directory(): Directory;
}

export function shareMonitors(parts: WorkerMonitorsParts): SharedMonitors {
  const { worker, current, credentials, directory } = parts;
  const local = new ServerMonitors();
  worker.channel.on('proven', (proven) => {
    if (credentials.learn(withBuffers(proven))) directory().credentialsChanged(proven.user);
  });
  worker.channel.on('welcome', (question) => directory().get(question.database)?.welcome.answer(question));
  return new SharedMonitors({
    channel: worker.channel,
    time: sharedTime(),
    local,
    databases: {
      join: (name, node, events) => {
        const database = directory().find(name);
        if (database === undefined) return undefined;
        // The database may not have the node here, or not yet.
        const options = { database: name, node, logins: () => database.monitored.loginsAt(node), events };
        const { serverConnectTimeoutMs } = database.settings();
        return local.join(options, current.config.tls.server, serverConnectTimeoutMs, systemClock);
      },
      borrow: (name, node, users) => {
        for (const user of users) directory().get(name)?.monitored.borrowed.accepted(node, user);
      },
      refused: (name, node, user) => directory().get(name)?.monitored.borrowed.refused(node, user),
      askCatalog: async (asker, name, node, question) => {
        const database = directory().find(name);
        if (database === undefined) throw new ProbeError('it is not configured', false);
        return database.monitored.askCatalog(asker, node, question);
      },
      releaseCatalog: (asker, name) => directory().get(name)?.monitored.releaseCatalog(asker),
    },
  });
}

/** As they came from another process, they may be plain byte arrays. */
function withBuffers(proven: Proven): Proven {
  const { scramKeys } = proven;
  if (scramKeys === undefined) return proven;
  const { clientKey, storedKey, serverKey } = scramKeys;
  const keys = {
    clientKey: Buffer.from(clientKey),
    storedKey: Buffer.from(storedKey),
    serverKey: Buffer.from(serverKey),
  };
  return { ...proven, scramKeys: keys };
}
