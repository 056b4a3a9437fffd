/**
 * What central.ts does, in Redis: for several Weirs. A bucket is a string "tokens at", with the time of Redis, and is forgotten
 * when it is full. Run by redis-buckets.ts.
 */

/** The prefix of all keys; behind it the digest of the key of a bucket. */
export const keyPrefix = 'weir:limit:';
/** Written to learn whether Redis takes writes. No digest of a bucket. */
export const probeKey = `${keyPrefix}probe`;

/** A bucket that nobody uses for a day is forgotten, even if it is not full. */
export const script = `
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local left = {}
for i, key in ipairs(KEYS) do
  local at = 4 * (i - 1)
  local spent, said = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local per_ms, burst = tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4])
  local tokens = said
  -- A key of another type, which somebody else has written, is an error here: it is overwritten.
  local text = redis.pcall('GET', key)
  local had, since = string.match(type(text) == 'string' and text or '', '^(%S+) (%S+)$')
  had, since = tonumber(had or ''), tonumber(since or '')
  if had and since then
    local filled = math.min(burst, had + math.max(0, now - since) * per_ms)
    tokens = math.min(said, filled - spent)
  end
  tokens = math.max(tokens, -math.max(burst, 60000 * per_ms))
  local life = math.min(86400000, math.ceil((burst - tokens) / per_ms) + 1000)
  redis.call('SET', key, string.format('%.4f %.3f', tokens, now), 'PX', string.format('%d', life))
  left[i] = string.format('%.4f', tokens)
end
return left
`;
