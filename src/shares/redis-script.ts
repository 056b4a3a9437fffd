/**
 * The two scripts that keep the ledger of a server in one key of Redis: it is read with the clock of Redis, and written only if
 * nobody has written it since. Run by redis-ledgers.ts.
 */

/** The prefix of all keys; behind it the server. */
export const keyPrefix = 'weir:connections:';

/** A Redis that does not allow INFO to this user has no name: then only a loss of everything is noticed. */
const common = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local info = redis.pcall('INFO', 'server')
local run = type(info) == 'string' and string.match(info, 'run_id:(%w+)') or ''
local value = redis.call('TYPE', KEYS[1]).ok == 'string' and redis.call('GET', KEYS[1]) or ''
local stamp = redis.sha1hex(value)
`;

/** A Redis that is full, or a replica, refuses it. */
export const probeScript = `redis.call('SET', KEYS[1], '1', 'PX', '60000')
return 1`;

export const readScript = `${common}
return {string.format('%.0f', now), run, stamp, value}
`;

/** Between the two scripts. */
export const longestMs = 500;

/** A Weir that was stopped between the two scripts must not write what was true before. */
export const writeScript = `${common}
if stamp ~= ARGV[1] or run ~= ARGV[2] or math.abs(now - ARGV[3]) > ${longestMs} then return 0 end
redis.call('SET', KEYS[1], ARGV[4], 'PX', '86400000')
return 1
`;
