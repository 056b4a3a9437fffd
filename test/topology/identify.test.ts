/**
 * Which probe a server can answer. Fails if a server that refuses a function, or fails for another reason, passes for one without
 * WAL functions, whose role alone would count.
 */
import { expect, test } from 'vitest';
import { identify } from '../../src/topology/identify.ts';
import { IDENTITY_SQL, ROLE_SQL, SYSTEM_ID_SQL } from '../../src/topology/probe-sql.ts';

const row = { server_version: '17.4', connection_limit: 97, wal_segment_size: '16777216', wal_block_size: 8192 };
const sqlError = (code: string): Error => Object.assign(new Error(`no (${code})`), { code });

function server(errors: { probe?: Error; control?: Error }, may = { may_identify: true, may_stats: true }) {
  return identify((text) => {
    if (text === IDENTITY_SQL) return Promise.resolve([{ ...row, ...may }]);
    const error = text === SYSTEM_ID_SQL ? errors.control : errors.probe;
    return error === undefined ? Promise.resolve([{ system_id: '7' }]) : Promise.reject(error);
  });
}

test.each(['55000', '0A000'])(
  '%s: the server does not offer its WAL functions, and the operator is told',
  async (code) => {
    const found = await server({ probe: sqlError(code) });
    expect(found?.probeText).toBe(ROLE_SQL);
    expect(found?.identity).toMatchObject({
      hasNoWal: true,
      systemId: '7',
      limitation: `does not say how far its WAL is (no (${code})): it can be the primary, but gets no reads as a replica`,
    });
  },
);

test.each(['42501', '42883', '57014', 'XX000', 'ECONNRESET'])(
  '%s: it is asked as ever, and its answer counts',
  async (code) => {
    const found = await server({ probe: sqlError(code) });
    expect(found?.probeText).toContain('pg_current_wal_insert_lsn()');
    expect(found?.identity).not.toHaveProperty('hasNoWal');
  },
);

test('a plain server', async () => {
  const found = await server({});
  expect(found?.probeText).toContain('pg_stat_wal_receiver');
  expect(found?.identity).toMatchObject({ systemId: '7', limitation: undefined });
  expect(found?.identity).not.toHaveProperty('hasNoWal');
});

test('its system identifier may be the only thing that it does not offer', async () => {
  expect((await server({ control: sqlError('0A000') }))?.identity.systemId).toBeUndefined();
  await expect(server({ control: sqlError('42501') })).rejects.toThrow('no (42501)');
  expect(await identify(() => Promise.resolve([]))).toBeUndefined();
});
