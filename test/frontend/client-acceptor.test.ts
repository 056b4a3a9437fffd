/** ClientAcceptor, byte by byte: what a client is sent, in which order, and how it is refused. */
import { connect } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { createKeyDeriver } from '../../src/auth/keys.ts';
import { checkServerFinal, clientFinal, clientFirst, readServerFirst } from '../../src/auth/scram-client.ts';
import { WeirError } from '../../src/errors/errors.ts';
import { createAcceptor } from '../../src/frontend/client-acceptor.ts';
import { createListener } from '../../src/frontend/listener.ts';
import { Request } from '../../src/protocol/codes.ts';
import { cancelRequest, query, sslRequest, startupMessage, strings, terminate } from '../../src/protocol/write.ts';
import { inPgbouncerWords } from '../../src/frontend/pgbouncer-words.ts';
import type { AcceptorOptions } from '../../src/frontend/types.ts';
import { until } from '../../integration/harness/until.ts';
import { RawClient, doorOptions, gssEncRequest, newRecord, packet, passwordMessage, startFixture } from './fixture.ts';
import type { Fixture } from './fixture.ts';

const opened: { fixture: Fixture; clients: RawClient[] }[] = [];

afterEach(async () => {
  for (const { fixture, clients } of opened.splice(0)) {
    for (const client of clients) client.close();
    await fixture.stop();
  }
});

async function open(overrides: Partial<AcceptorOptions> = {}) {
  const fixture = await startFixture(overrides);
  const clients: RawClient[] = [];
  opened.push({ fixture, clients });
  const dial = async (): Promise<RawClient> => {
    const client = await RawClient.connect(fixture.port);
    clients.push(client);
    return client;
  };
  return { fixture, dial };
}

const ann = { user: 'ann', database: 'shop' };

/** AuthenticationOk. */
async function expectOk(client: RawClient): Promise<void> {
  expect(await client.next()).toEqual({ type: 0x52, body: Buffer.alloc(4) });
}

async function expectReady(client: RawClient): Promise<void> {
  await expectOk(client);
  while ((await client.next()).type !== 0x5a);
}

describe('start-up', () => {
  it('tells a client that is not let in what it is asked to tell', async () => {
    const { dial } = await open({
      findDatabase: () => 'unknown',
      wordsFor: (error) => inPgbouncerWords(error),
    });
    expect(await (await dial()).startup(ann).refusal()).toMatchObject({
      message: 'no such database: shop',
      detail: 'database "shop" is not configured in Weir',
    });
  });

  it('hands over user, database and all parameters', async () => {
    const { fixture, dial } = await open();
    const options = '-c search_path=app -c weir.route=replica';
    await expectReady((await dial()).startup({ ...ann, application_name: 'psql', options, extra_float_digits: '3' }));
    const [client] = fixture.clients;
    expect(client).toMatchObject({ user: 'ann', database: 'shop', isConsole: false, hasTls: false });
    expect(client?.remoteAddress).toBe('127.0.0.1');
    expect(client?.remotePort).toBeGreaterThan(0);
    expect(Object.fromEntries(client?.parameters ?? [])).toEqual({
      application_name: 'psql',
      options,
      extra_float_digits: '3',
    });
  });

  it('takes the user name for a database that is not named', async () => {
    const { fixture, dial } = await open();
    await expectReady((await dial()).startup({ user: 'ann' }));
    await expectReady((await dial()).startup({ user: 'bob', database: '', replication: 'off' }));
    expect(fixture.clients.map((client) => client.database)).toEqual(['ann', 'bob']);
    expect(fixture.clients[1]?.parameters.size).toBe(0);
  });

  it.each([
    ['true', 'physical'],
    ['1', 'physical'],
    ['ON', 'physical'],
    ['database', 'logical'],
    ['false', undefined],
  ])('replication=%s', async (replication, kind) => {
    const { fixture, dial } = await open();
    await expectReady((await dial()).startup({ ...ann, replication, application_name: 'x' }));
    const [client] = fixture.clients;
    expect(client?.replication).toBe(kind);
    expect([...(client?.parameters.keys() ?? [])]).toEqual(['application_name']);
  });

  it('physical replication need not name a database that is there', async () => {
    const { fixture, dial } = await open();
    await expectReady((await dial()).startup({ user: 'ann', database: 'nowhere', replication: 'true' }));
    expect(fixture.clients[0]).toMatchObject({ database: 'nowhere', replication: 'physical' });
  });

  it('works byte by byte', async () => {
    const { dial } = await open();
    const client = await dial();
    for (const byte of Buffer.concat([sslRequest])) client.say(Buffer.from([byte]));
    expect(await client.reader.nextByte()).toBe(0x4e);
    for (const byte of startupMessage(ann)) client.say(Buffer.from([byte]));
    await expectReady(client);
  });

  it('loses nothing that was sent ahead', async () => {
    const { dial } = await open();
    const client = (await dial()).say(startupMessage(ann), query('SELECT 1'), query('SELECT 2'));
    await expectReady(client);
    for (let answers = 0; answers < 2; answers++) {
      const types: string[] = [];
      for (let type = 0; type !== 0x5a;) {
        ({ type } = await client.next());
        types.push(String.fromCharCode(type));
      }
      expect(types.join('')).toBe('TDCZ');
    }
  });

  it('answers SSLRequest and GSSENCRequest with N, once each, in any order', async () => {
    const { dial } = await open();
    for (const order of [
      [sslRequest, gssEncRequest],
      [gssEncRequest, sslRequest],
    ]) {
      const client = await dial();
      for (const request of order) expect(await client.say(request).reader.nextByte()).toBe(0x4e);
      await expectReady(client.startup(ann));
    }
  });

  it.each([
    ['SSLRequest', sslRequest],
    ['GSSENCRequest', gssEncRequest],
  ])('refuses a second %s', async (_name, request) => {
    const { dial } = await open();
    const client = (await dial()).say(request);
    expect(await client.reader.nextByte()).toBe(0x4e);
    expect(await client.say(request).refusal()).toMatchObject({ severity: 'FATAL', sqlstate: '0A000' });
  });

  it.each([
    ['SSL', sslRequest],
    ['GSSAPI encryption', gssEncRequest],
  ])('refuses bytes that came with a request for %s', async (name, request) => {
    const { fixture, dial } = await open();
    const client = (await dial()).say(request, startupMessage(ann));
    expect(await client.reader.nextByte()).toBe(0x4e);
    expect(await client.refusal()).toMatchObject({
      sqlstate: '08P01',
      message: expect.stringContaining(`unencrypted data after ${name} request`) as string,
    });
    expect(fixture.refusals).toEqual(['protocol']);
  });

  it.each([
    [0, 0],
    [1, 1],
    [2, 2],
    [3, 2],
    [9999, 2],
  ])('3.%i is spoken as 3.%i, and a client that asked for more is told so', async (asked, spoken) => {
    const { fixture, dial } = await open();
    const client = (await dial()).say(packet(Request.protocol30 + asked, strings('user', 'ann', '')));
    if (asked > spoken) {
      expect(await client.next()).toEqual({ type: 0x76, body: Buffer.from(`0003000${spoken}00000000`, 'hex') });
    }
    await expectReady(client);
    expect(fixture.clients[0]?.protocolMinor).toBe(spoken);
  });

  it('names the protocol options that it does not know', async () => {
    const { fixture, dial } = await open();
    const pairs = strings('user', 'ann', '_pq_.wow', '1', 'application_name', 'x', '_pq_.more', '2', '_pq_.wow', '3');
    for (const version of [Request.protocol32, Request.protocol30]) {
      const client = (await dial()).say(packet(version, Buffer.concat([pairs, Buffer.from([0])])));
      const { type, body } = await client.next();
      expect(String.fromCharCode(type)).toBe('v');
      expect([body.readInt32BE(0), body.readInt32BE(4)]).toEqual([version, 3]);
      expect(body.toString('latin1', 8)).toBe('_pq_.wow\0_pq_.more\0_pq_.wow\0');
      await expectReady(client);
    }
    expect([...(fixture.clients[0]?.parameters.keys() ?? [])]).toEqual(['application_name']);
  });

  it.each([1, 2])('refuses protocol %i.0 in the words of that time', async (major) => {
    const { fixture, dial } = await open();
    const client = (await dial()).say(packet(major * 65536));
    const text = `EFATAL:  unsupported frontend protocol ${major}.0: server supports 3.0 to 3.2\n\0`;
    for (const byte of Buffer.from(text)) expect(await client.reader.nextByte()).toBe(byte);
    await client.end();
    expect(fixture.refusals).toEqual(['protocol']);
  });

  it.each([
    [0, 0, /unsupported frontend protocol 0\.0/],
    [4, 1, /unsupported frontend protocol 4\.1/],
    [1234, 5678 + 7, /unsupported frontend protocol 1234/],
  ])('refuses protocol %i.%i', async (major, minor, message) => {
    const { dial } = await open();
    const client = (await dial()).say(packet(major * 65536 + minor, strings('user', 'ann', '')));
    const refusal = await client.refusal();
    expect(refusal).toMatchObject({ severity: 'FATAL', sqlstate: '0A000' });
    expect(refusal.message).toMatch(message);
  });

  it.each([
    [{}, '28000', /no PostgreSQL user name/],
    [{ user: '' }, '28000', /no PostgreSQL user name/],
    [
      { user: 'weir', database: 'weir', replication: 'database' },
      '0A000',
      /replication connection to the admin console/,
    ],
    [{ user: 'weir', database: 'weir', replication: 'true' }, '0A000', /replication connection to the admin console/],
    [{ user: 'ann', database: 'nowhere', replication: 'database' }, '3D000', /"nowhere" is not configured/],
    [{ user: 'ann', replication: 'truest' }, '22023', /invalid value for parameter "replication": "truest"/],
    [{ user: 'ann', replication: '' }, '22023', /invalid value for parameter "replication": ""/],
    [{ user: 'ann', replication: 'o' }, '22023', /invalid value/],
    [{ user: 'ann', replication: 'DATABASE' }, '22023', /invalid value/],
    [{ user: 'ann', database: 'nowhere' }, '3D000', /"nowhere" is not configured/],
    [{ user: 'ann', database: 'weir' }, '28000', /admin console/],
  ])('refuses %j', async (parameters, sqlstate, message) => {
    const { fixture, dial } = await open();
    const refusal = await (await dial()).startup(parameters as Record<string, string>).refusal();
    expect(refusal).toMatchObject({ severity: 'FATAL', sqlstate });
    expect(refusal.message).toMatch(message);
    expect(fixture.clients).toHaveLength(0);
    expect(fixture.refusals).toHaveLength(1);
    await until('seats to be free', () => fixture.seats() === 0);
  });
});

describe('strangers', () => {
  it.each([
    ['HTTP', 'GET / HTTP/1.1\r\nHost: x\r\n\r\n', /HTTP request/],
    ['SSH', 'SSH-2.0-OpenSSH_9.2\r\n', /SSH/],
    ['a length of 0', '\0\0\0\0\0\0\0\0', /invalid length 0 of startup packet/],
    ['a negative length', '\xff\xff\xff\xff\0\x03\0\0', /invalid length -1 of startup packet/],
    ['a huge length', '\x7f\xff\xff\xff\0\x03\0\0', /invalid length 2147483647/],
    ['no terminator', '\0\0\0\x0e\0\x03\0\0user\0x', /string without its end|invalid startup packet/],
    ['something behind the terminator', '\0\0\0\x12\0\x03\0\0user\0a\0\0zz', /invalid startup packet/],
    ['a cancel request without a key', '\0\0\0\x0c\x04\xd2\x16\x2e\0\0\0\x01', /cancel request/],
  ])('%s gets a short FATAL and a log line', async (_name, text, message) => {
    const { fixture, dial } = await open();
    const refusal = await (await dial()).say(Buffer.from(text, 'latin1')).refusal();
    expect(refusal).toMatchObject({ severity: 'FATAL', sqlstate: '08P01' });
    expect(refusal.message).toMatch(message);
    expect(fixture.logged.some((line) => line.includes('login_refused'))).toBe(true);
    expect(fixture.refusals).toEqual(['protocol']);
  });

  it('TLS where there is none is closed without a word, with a log line that says why', async () => {
    const { fixture, dial } = await open();
    const client = (await dial()).say(Buffer.from('16030100c8010000c40303', 'hex'));
    await client.end();
    expect(fixture.logged.join()).toContain('TLS where it cannot be');
  });

  it('who leaves in the middle is not counted', async () => {
    const { fixture, dial } = await open();
    for (const bytes of [Buffer.alloc(0), Buffer.from([0, 0]), startupMessage(ann).subarray(0, 12)]) {
      const client = (await dial()).say(bytes);
      client.socket.end();
      await client.end();
    }
    await until('three log lines', () => fixture.logged.length === 3);
    expect(fixture.refusals).toEqual([]);
    expect(fixture.logged.every((line) => line.includes('login_abandoned'))).toBe(true);
  });

  it('who says Terminate has left: no error, not counted', async () => {
    const auth = { type: 'md5' as const, users: () => 'secret' };
    const { fixture, dial } = await open({ auth });
    for (const bytes of [terminate, terminate.subarray(0, 4)]) await (await dial()).say(bytes).end();
    const client = (await dial()).startup(ann);
    expect((await client.next()).type).toBe(0x52);
    await client.say(terminate).end();
    await until('three log lines', () => fixture.logged.length === 3);
    expect(fixture.refusals).toEqual([]);
    expect(fixture.logged.every((line) => line.includes('login_abandoned'))).toBe(true);
    expect(fixture.seats()).toBe(0);
  });

  it('who is slow is told so, and closed', async () => {
    const { fixture, dial } = await open({ loginTimeoutMs: () => 100 });
    for (const bytes of [Buffer.alloc(0), Buffer.from([0]), startupMessage(ann).subarray(0, 12)]) {
      const refusal = await (await dial()).say(bytes).refusal();
      expect(refusal).toMatchObject({ severity: 'FATAL', sqlstate: '08P01' });
      expect(refusal.message).toBe('log-in was not finished within 0.1 s');
    }
    expect(fixture.refusals).toEqual(['timeout', 'timeout', 'timeout']);
  });

  it('who is slow to send the password too', async () => {
    const auth = { type: 'md5' as const, users: () => 'secret' };
    const { fixture, dial } = await open({ loginTimeoutMs: () => 100, auth });
    const client = (await dial()).startup(ann);
    expect((await client.next()).type).toBe(0x52);
    expect(await client.refusal()).toMatchObject({ sqlstate: '08P01' });
    await until('seats to be free', () => fixture.seats() === 0);
  });
});

describe('password messages', () => {
  const auth = { type: 'md5' as const, users: () => 'secret' };
  const huge = Buffer.alloc(100_000, 0x61);

  it.each([
    ['a query instead', query('SELECT 1'), '08P01', /expected a password, got 'Q'/],
    ['100 KB', passwordMessage(huge), '08P01', /invalid length 100004 of message 'p'/],
    ['60 KB', passwordMessage(Buffer.concat([huge.subarray(0, 60_000), Buffer.from([0])])), '28P01', /password/],
    ['a negative length', Buffer.from([0x70, 0xff, 0, 0, 0]), '08P01', /invalid length/],
    ['no terminator', passwordMessage(Buffer.from('abc')), '08P01', /invalid password message/],
    ['nothing', passwordMessage(Buffer.alloc(0)), '08P01', /invalid password message/],
    ['an empty one', passwordMessage(Buffer.from([0])), '28P01', /password authentication failed/],
  ])('%s', async (_name, bytes, sqlstate, message) => {
    const { dial } = await open({ auth });
    const client = (await dial()).startup(ann);
    expect((await client.next()).type).toBe(0x52);
    const refusal = await client.say(bytes).refusal();
    expect(refusal.sqlstate).toBe(sqlstate);
    expect(refusal.message).toMatch(message);
  });

  it.each([
    ['another mechanism', strings('SCRAM-SHA-256-PLUS'), /not offered/],
    ['no mechanism', Buffer.alloc(0), /string without its end/],
    ['no length', strings('SCRAM-SHA-256'), /malformed SASLInitialResponse/],
    [
      'a wrong length',
      Buffer.concat([strings('SCRAM-SHA-256'), Buffer.from([0, 0, 0, 9]), Buffer.from('n,,')]),
      /malf/,
    ],
    [
      'channel binding',
      Buffer.concat([strings('SCRAM-SHA-256'), Buffer.from([0, 0, 0, 2]), Buffer.from('p=')]),
      /binding/,
    ],
  ])('SASL with %s', async (_name, body, message) => {
    const { fixture, dial } = await open({ auth: { type: 'scram-sha-256', users: () => 'secret' } });
    const client = (await dial()).startup(ann);
    const { body: offer } = await client.next();
    expect(offer.toString('latin1', 4)).toBe('SCRAM-SHA-256\0\0');
    const refusal = await client.say(passwordMessage(body)).refusal();
    expect(refusal.sqlstate).toBe('08P01');
    expect(refusal.message).toMatch(message);
    expect(fixture.refusals).toEqual(['protocol']);
  });

  it('a client that is refused after its proof gets the answer to the proof first', async () => {
    const auth = { type: 'scram-sha-256', users: () => 'secret' } as const;
    const { dial } = await open({ auth, tryEnter: () => false });
    const client = (await dial()).startup(ann);
    await client.next();
    const first = Buffer.from(clientFirst('abc', 'none'));
    const length = Buffer.from([0, 0, 0, first.length]);
    client.say(passwordMessage(Buffer.concat([strings('SCRAM-SHA-256'), length, first])));
    const challenge = readServerFirst((await client.next()).body.subarray(4), 'abc');
    const keys = await createKeyDeriver().derive('secret', challenge.salt, challenge.iterations);
    const { message, serverSignature } = clientFinal(keys, 'abc', challenge, 'none');
    client.say(passwordMessage(Buffer.from(message)));
    checkServerFinal((await client.next()).body.subarray(4), serverSignature);
    expect((await client.refusal()).sqlstate).toBe('53300');
  });

  it('unknown users are challenged like known ones, with the same salt each time', async () => {
    const users = (name: string): string | undefined => (name === 'ann' ? 'secret' : undefined);
    const { dial } = await open({ auth: { type: 'scram-sha-256', users } });
    const challenge = async (user: string): Promise<string> => {
      const client = (await dial()).startup({ user });
      await client.next();
      const first = Buffer.from('n,,n=,r=abc');
      const length = Buffer.from([0, 0, 0, first.length]);
      client.say(passwordMessage(Buffer.concat([strings('SCRAM-SHA-256'), length, first])));
      const text = (await client.next()).body.toString('latin1', 4);
      client.close();
      return text.replace(/^r=abc[^,]{24},/, '');
    };
    const [known, eve, eveAgain, mallory] = [
      await challenge('ann'),
      await challenge('eve'),
      await challenge('eve'),
      await challenge('mallory'),
    ];
    for (const text of [known, eve, mallory]) expect(text).toMatch(/^s=[A-Za-z0-9+/]{22}==,i=4096$/);
    expect(eveAgain).toBe(eve);
    expect(mallory).not.toBe(eve);
  });
});

describe('places', () => {
  it('are taken at start-up and given back when the client is gone', async () => {
    const { fixture, dial } = await open();
    const idle = await dial();
    const clients = [(await dial()).startup(ann), (await dial()).startup(ann)];
    for (const client of clients) await expectReady(client);
    expect(fixture.seats()).toBe(2);
    clients[0]?.close();
    await until('one to be given back', () => fixture.seats() === 1);
    idle.close();
    clients[1]?.close();
    await until('all to be given back', () => fixture.seats() === 0);
  });

  it('stats_users on the console have the limits of users and databases, admin_users have none', async () => {
    const guests: unknown[] = [];
    const { dial } = await open({
      tryEnter: (guest) => {
        guests.push(guest);
        return guest === undefined ? true : 'max_user_client_connections';
      },
    });
    const refusal = await (await dial()).startup({ user: 'stats', database: 'weir' }).refusal();
    expect(refusal).toMatchObject({ message: expect.stringContaining('max_user_client_connections') as string });
    await expectReady((await dial()).startup({ user: 'weir', database: 'weir' }));
    expect(guests).toEqual([{ user: 'stats', database: 'weir' }, undefined]);
  });

  it('full is full, but for a few console users', async () => {
    let left = 0;
    const { fixture, dial } = await open({ isFull: () => true, tryEnter: () => false, leave: () => left++ });
    expect(await (await dial()).startup(ann).refusal()).toMatchObject({
      severity: 'FATAL',
      sqlstate: '53300',
      message: expect.stringContaining('max_client_conn = 100') as string,
    });
    const keeper = { user: 'weir', database: 'weir' };
    const keepers: RawClient[] = [];
    for (let count = 0; count < 8; count++) keepers.push((await dial()).startup(keeper));
    for (const client of keepers) await expectReady(client);
    expect((await (await dial()).startup(keeper).refusal()).sqlstate).toBe('53300');
    expect(fixture.clients.every((client) => client.isConsole)).toBe(true);
    keepers[0]?.close();
    await until('the reserve to have a place again', async () => {
      const client = (await dial()).startup(keeper);
      const { type } = await client.next();
      return type === 0x52;
    });
    expect(left).toBe(0);
    expect(fixture.refusals.every((reason) => reason === 'too-many')).toBe(true);
  });

  it('nobody takes one before he has proven who he is', async () => {
    const { fixture, dial } = await open({ auth: { type: 'scram-sha-256', users: () => 'secret' } });
    const asked = await Promise.all(Array.from({ length: 30 }, async () => (await dial()).startup(ann)));
    for (const client of asked) expect((await client.next()).type).toBe(0x52);
    expect(fixture.seats()).toBe(0);
  });

  it('beyond the bound on log-ins under way the oldest gives way', async () => {
    const { fixture, dial } = await open({ maxLogins: () => 3 });
    const [oldest, ...others] = [await dial(), await dial(), await dial()];
    await expectReady((await dial()).startup(ann));
    expect(await oldest?.refusal()).toMatchObject({ sqlstate: '53300', message: 'too many log-ins at the same time' });
    for (const client of others) await expectReady(client.startup(ann));
    expect(fixture.refusals).toEqual(['too-many']);
  });
});

describe('cancel requests', () => {
  it('are passed on with keys of any length, and closed without a word', async () => {
    const { fixture, dial } = await open();
    for (const secret of [Buffer.from([1, 2, 3, 4]), Buffer.alloc(32, 5), Buffer.alloc(256, 6)]) {
      await (await dial()).say(cancelRequest(-42, secret)).end();
      expect(fixture.cancels.pop()).toMatchObject({ processId: -42, secret });
    }
    expect(fixture.seats()).toBe(0);
  });

  it('stay open until they are dealt with', async () => {
    const waiting: (() => void)[] = [];
    const { dial } = await open({ onCancel: (_processId, _secret, done) => waiting.push(done) });
    const client = (await dial()).say(cancelRequest(1, Buffer.alloc(4)));
    const done = await until('the request', () => waiting[0]);
    expect(client.socket.readableEnded).toBe(false);
    done();
    await client.end();
  });
});

describe('shutting down', () => {
  it('new clients are refused while draining, the console is not', async () => {
    const { dial } = await open({ isDraining: () => true });
    expect(await (await dial()).startup(ann).refusal()).toMatchObject({ severity: 'FATAL', sqlstate: '57P01' });
    await expectReady((await dial()).startup({ user: 'weir', database: 'weir' }));
  });

  it('close ends log-ins under way and leaves clients alone', async () => {
    const { fixture, dial } = await open({ auth: { type: 'trust', users: () => undefined } });
    const client = (await dial()).startup(ann);
    await expectReady(client);
    const half = (await dial()).say(Buffer.from([0, 0]));
    await expectReady((await dial()).startup(ann));
    await fixture.listener.close();
    expect(await half.refusal()).toMatchObject({ severity: 'FATAL', sqlstate: '57P01' });
    await expect(RawClient.connect(fixture.port)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    client.say(query('SELECT 1'));
    expect((await client.next()).type).toBe(0x54);
  });
});

describe('the listener', () => {
  it('says who has the port', async () => {
    const { fixture } = await open();
    const { options } = doorOptions({}, newRecord());
    const second = createListener({ ...options, listen: { host: '127.0.0.1', port: fixture.port } });
    await expect(second.listen()).rejects.toThrow(
      `cannot listen on 127.0.0.1:${fixture.port}: another process listens there`,
    );
    await second.close();
  });

  it('an exception in one client touches nobody else', async () => {
    let count = 0;
    const { dial } = await open({
      findDatabase: () => {
        if (count++ === 0) throw new Error('boom');
        return 'ok';
      },
    });
    expect(await (await dial()).startup(ann).refusal()).toMatchObject({ severity: 'FATAL', sqlstate: 'XX000' });
    await expectReady((await dial()).startup(ann));
  });

  it('an exception of whoever takes the client over, too', async () => {
    const { fixture, dial } = await open({
      onClient: () => {
        throw new WeirError('shutting_down');
      },
    });
    const client = (await dial()).startup(ann);
    await expectOk(client);
    expect(await client.refusal()).toMatchObject({ sqlstate: '57P01' });
    await until('seats to be free', () => fixture.seats() === 0);
  });

  it('serves a crowd that arrives at once', async () => {
    const { fixture } = await open({ tryEnter: () => true, leave: () => undefined });
    const crowd = Array.from({ length: 1_000 }, async () => {
      const socket = connect({ host: '127.0.0.1', port: fixture.port });
      const client = new RawClient(socket).startup(ann);
      await expectReady(client);
      client.close();
    });
    await Promise.all(crowd);
    expect(fixture.clients).toHaveLength(1_000);
  });
});

describe('connections that are given away', () => {
  /** Everybody who comes to the fixture is given to another acceptor when `pass` is called. */
  async function withAnother(overrides: Partial<AcceptorOptions> = {}) {
    const { fixture, dial } = await open(overrides);
    const seen = newRecord();
    const other = createAcceptor(doorOptions({}, seen).options);
    const layers: string[] = [];
    const pass = (): void =>
      fixture.listener.arrivals.giveFreshAway((layer, socket, unread) => {
        layers.push(`${layer} ${unread.length}`);
        if (unread.length > 0) socket.unshift(unread);
        other.accept(socket, layer);
        return true;
      });
    return { fixture, dial, pass, layers, others: seen.clients };
  }

  it('go on elsewhere as if they had come there, with what was sent so far', async () => {
    const { fixture, dial, pass, layers, others } = await withAnother();
    const silent = await dial();
    const inMidWord = (await dial()).say(startupMessage(ann).subarray(0, 9));
    await until('both to be there', () => fixture.listener.arrivals.waitingForClient === 2);
    await new Promise((resolve) => setTimeout(resolve, 50));
    pass();
    expect(layers).toEqual(['plain 0', 'plain 9']);
    await expectReady(silent.startup(ann));
    await expectReady(inMidWord.say(startupMessage(ann).subarray(9)));
    expect(others).toHaveLength(2);
    expect(fixture.clients).toEqual([]);
    await until('nobody to log in', () => fixture.listener.arrivals.loggingIn === 0);
    expect(fixture.refusals).toEqual([]);
    expect(fixture.logged).toEqual([]);
    expect(fixture.seats()).toBe(0);
  });

  it('are those only that were sent nothing: the others log in where they are', async () => {
    const { fixture, dial, pass, layers } = await withAnother({ auth: { type: 'md5', users: () => 'secret' } });
    const asked = (await dial()).say(sslRequest);
    expect(await asked.reader.nextByte()).toBe(0x4e);
    const challenged = (await dial()).startup(ann);
    expect((await challenged.next()).type).toBe(0x52);
    pass();
    expect(layers).toEqual([]);
    expect(fixture.listener.arrivals).toMatchObject({ loggingIn: 2, waitingForClient: 2 });
    expect((await asked.startup(ann).next()).type).toBe(0x52);
  });
});
