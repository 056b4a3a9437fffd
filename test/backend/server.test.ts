/** To whom a server's messages go that nobody has asked for. */
import { expect, test } from 'vitest';
import type { AnswerReceiver, ServerConnection } from '../../src/backend/server.ts';
import { commandComplete, frame, readyForQuery, strings } from '../../src/protocol/write.ts';
import { Scene } from '../pool/scene.ts';

test('a notification that comes while Weir asks something of its own goes to the client that listens', async () => {
  const scene = new Scene({ defaultPoolSize: 1 });
  scene.wait('listener');
  const [server] = (await scene.logIn()) as [ServerConnection];
  const heard: string[] = [];
  const nothing = (): void => undefined;
  const listener: AnswerReceiver = {
    ...{ completed: nothing, errored: nothing, noticed: nothing, parameterChanged: nothing, ready: nothing },
    ...{ lost: nothing, heldUp: nothing, drained: nothing },
    relay: (buffer, start, end) => void heard.push(buffer.toString('latin1', start, end)),
  };
  server.holders.add(listener);
  const asked = server.run('SELECT true');
  const notification = frame('A'.charCodeAt(0), Buffer.concat([Buffer.alloc(4), strings('news', 'heard')]));
  server.received(Buffer.concat([notification, commandComplete('SELECT 1'), readyForQuery('I')]));
  await asked;
  expect(heard).toEqual([notification.toString('latin1')]);
});
