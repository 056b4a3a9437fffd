/**
 * The commands of the second level, as Lua scripts. Each is atomic in Redis, publishes its changes with the next
 * message number, and starts a new incarnation if the old one is not trusted (missing, malformed, or from an earlier
 * server process, whose restart may have restored old stamps). Sent by redis.ts only. Keys: META (hash: inc, run, seq,
 * n); a tag (hash: v = "inc:stamp", other fields: token -> deadline in ms of Redis time); an entry (string,
 * entry-format.ts); a Weir's open writes (hash: token -> note).
 */
import { markerMs } from './transport.ts';

/**
 * KEYS[1] META. ARGV[1] incarnation to use if a new one is needed, [2] run id, [3] channel, [4] caller, [5] length
 * of the prefix of a tag's key.
 */
const prelude = `
local META, PROPOSED, RUN, CHANNEL, SELF, SKIP = KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local SPACE = string.sub(META, 1, -5)
local IDLE, MARKER, MOST_FIELDS = 86400000, ${markerMs}, 2000
local incarnation
local function whole(s)
  return type(s) == 'string' and #s <= 14 and string.match(s, '^%d+$') ~= nil
end
local function say(message)
  message.i, message.f = incarnation, SELF
  message.n = redis.call('HINCRBY', META, 'n', 1)
  redis.call('PUBLISH', CHANNEL, cjson.encode(message))
end
local function rotate()
  local old = redis.pcall('HMGET', META, 'seq', 'n')
  if old.err then old = {} end
  redis.call('DEL', META)
  incarnation = PROPOSED
  redis.call('HSET', META, 'inc', incarnation, 'run', RUN,
    'seq', whole(old[1]) and old[1] or '0', 'n', whole(old[2]) and old[2] or '0')
  say({ k = 'reset' })
end
local meta = redis.pcall('HMGET', META, 'inc', 'run', 'seq', 'n')
if meta.err or not meta[1] or #meta[1] > 100 or not string.match(meta[1], '^[%w-]+$')
  or meta[2] ~= RUN or not whole(meta[3]) or not whole(meta[4]) then
  rotate()
else
  incarnation = meta[1]
end
local clock = redis.call('TIME')
local NOW = clock[1] * 1000 + math.floor(clock[2] / 1000)
local function name(key)
  return string.sub(key, SKIP + 1)
end
local function bump(key)
  local stamp = redis.call('HINCRBY', META, 'seq', 1)
  redis.call('HSET', key, 'v', incarnation .. ':' .. string.format('%d', stamp))
  redis.call('PEXPIRE', key, IDLE)
  return stamp
end
local function writesOf(owner)
  return SPACE .. 'w:' .. owner
end
local function ownerOf(token)
  return string.match(token, '^([%w-]+):')
end
local function remember(key, token, text)
  local done = redis.pcall('HSET', key, token, text)
  if type(done) == 'table' then
    redis.call('DEL', key)
    redis.call('HSET', key, token, text)
  end
  redis.call('PEXPIRE', key, IDLE)
end
-- Its owner has not opened it, nor has anybody found out what became of it.
local function isOpen(token)
  local owner = ownerOf(token)
  return owner ~= nil and redis.pcall('HEXISTS', writesOf(owner), token) == 1
end
local lapsedTags, lapsedStamps = {}, {}
-- tagsLike() must find every tag of a client that an answer carries, so these live on.
local function look(key)
  local fields, size = {}, redis.pcall('HLEN', key)
  if type(size) == 'table' or size > MOST_FIELDS then
    redis.call('DEL', key)
  else
    fields = redis.call('HGETALL', key)
  end
  local stamp, closed, lapsed = nil, false, false
  for f = 1, #fields, 2 do
    local field, value = fields[f], fields[f + 1]
    if field == 'v' then
      local inc, number = string.match(value, '^([%w-]+):(%d+)$')
      if inc == incarnation and #number <= 14 then stamp = tonumber(number) end
    else
      local deadline = tonumber(value)
      if deadline and deadline > NOW and deadline <= NOW + 10 * MARKER then
        closed = true
      elseif string.sub(field, 1, 2) == 'm:' and isOpen(string.sub(field, 3)) then
        closed = true
      else
        redis.call('HDEL', key, field)
        lapsed = true
      end
    end
  end
  if stamp and string.sub(name(key), 1, 2) == 't:' then redis.call('PEXPIRE', key, IDLE) end
  if lapsed or not stamp then
    stamp = bump(key)
    lapsedTags[#lapsedTags + 1], lapsedStamps[#lapsedStamps + 1] = name(key), stamp
  end
  return stamp, closed
end
local function sayLapsed()
  if #lapsedTags > 0 then say({ k = 'open', o = '', t = lapsedTags, s = lapsedStamps }) end
end
local function lookAll(first)
  local stamps, texts, closed = {}, {}, false
  for k = first, #KEYS do
    local stamp, isClosed = look(KEYS[k])
    stamps[#stamps + 1] = stamp
    texts[#texts + 1] = string.format('%d', stamp)
    closed = closed or isClosed
  end
  sayLapsed()
  return stamps, incarnation .. '|' .. table.concat(texts, ',') .. '|', closed
end
`;

/**
 * KEYS[2] members: id -> "time of Redis up to which it has received answers, its lease", and '@' -> "generation, run
 * id, start, latest time". A generation ends when Redis's data or clock are not reliable: then all must be heard of
 * again. ARGV[6] '1' = rotate, [7] echo, [8] lease in ms, [9] ms until a missing member is gone, [10] known members,
 * [11] tokens of the caller's open writes, [12..] known writes of Weirs that are not heard of: token, note, token,
 * note. A lease is granted only if the answer lists all of these.
 */
const hello = `${prelude}
local MEMBERS, LEASE, TIMEOUT = KEYS[2], tonumber(ARGV[8]), tonumber(ARGV[9])
local GONE, MOST_ORPHANS, MANY = SPACE .. 'gone', 256, 1000
local fields = redis.pcall('HGETALL', MEMBERS)
if fields.err or #fields > 2000 then
  redis.call('DEL', MEMBERS)
  fields = {}
end
local generation, run, born, latest
local members = {}
for f = 1, #fields, 2 do
  local id, value = fields[f], fields[f + 1]
  local seen, lease = string.match(value, '^(%d+) (%d+)$')
  if id == '@' then
    generation, run, born, latest = string.match(value, '^([%w-]+) (%w+) (%d+) (%d+)$')
  elseif seen and #seen <= 14 and #lease <= 9 and #id <= 100 and string.match(id, '^[%w-]+$') then
    members[id] = { seen = tonumber(seen), lease = tonumber(lease) }
  else
    redis.call('HDEL', MEMBERS, id)
  end
end
local function put(id, seen, lease)
  members[id] = { seen = seen, lease = lease }
  redis.call('HSET', MEMBERS, id, string.format('%d %d', seen, lease))
end
if run ~= RUN or #born > 14 or #latest > 14 or tonumber(latest) > NOW then
  generation, born = PROPOSED, NOW
  for id, member in pairs(members) do put(id, NOW - member.lease - 1, member.lease) end
end
born = tonumber(born)
local heardGeneration, heard = string.match(ARGV[7], '^([%w-]+) (%d+)$')
local seen = members[SELF] and members[SELF].seen or NOW - LEASE - 1
-- From a connection that is gone, and heard late: it does not know what was begun meanwhile.
local isOld = heardGeneration == generation and #heard <= 14 and tonumber(heard) < seen
if heardGeneration == generation then
  if #heard <= 14 and tonumber(heard) <= NOW and tonumber(heard) > seen then seen = tonumber(heard) end
else
  for id in string.gmatch(ARGV[10], '[%w-]+') do
    if not members[id] then put(id, NOW - LEASE - 1, LEASE) end
  end
  for a = 12, #ARGV, 2 do
    local owner = ownerOf(ARGV[a])
    local member = owner and members[owner]
    if owner and owner ~= SELF and not (member and NOW - member.seen <= member.lease) then
      remember(writesOf(owner), ARGV[a], ARGV[a + 1])
      if not member then redis.call('SADD', GONE, owner) end
    end
  end
end
put(SELF, seen, LEASE)
if not isOld then
  local held = {}
  for token in string.gmatch(ARGV[11], '[^,]+') do held[token] = true end
  local mine = redis.pcall('HKEYS', writesOf(SELF))
  if mine.err then redis.call('DEL', writesOf(SELF)) else
    for _, token in ipairs(mine) do
      if not held[token] then redis.call('HDEL', writesOf(SELF), token) end
    end
  end
end
local orphans, isWhole = {}, true
local function inherit(owner)
  local key, size = writesOf(owner), redis.pcall('HLEN', writesOf(owner))
  if type(size) == 'table' then
    redis.call('DEL', key)
    return false
  end
  if size == 0 then return false end
  redis.call('PEXPIRE', key, IDLE)
  local writes = size > MANY and redis.call('HSCAN', key, 0, 'COUNT', MOST_ORPHANS)[2] or redis.call('HGETALL', key)
  if size > MANY or #orphans + #writes > 2 * MOST_ORPHANS then isWhole = false end
  for w = 1, math.min(#writes, 2 * MOST_ORPHANS - #orphans) do orphans[#orphans + 1] = writes[w] end
  return true
end
local lease, all, missing, hasLost = LEASE, {}, {}, false
for id, member in pairs(members) do
  if id ~= SELF and NOW - member.seen > member.lease + TIMEOUT then
    redis.call('HDEL', MEMBERS, id)
    redis.call('SADD', GONE, id)
    hasLost = true
  else
    -- Who is only late will answer for its writes itself.
    if id ~= SELF and NOW - member.seen > 2 * member.lease then inherit(id) end
    all[#all + 1] = id
    lease = math.min(lease, member.lease)
    if NOW - member.seen > member.lease then missing[#missing + 1] = id end
  end
end
local gone = redis.pcall('SMEMBERS', GONE)
if gone.err then
  redis.call('DEL', GONE)
  gone = {}
end
for _, id in ipairs(gone) do
  if members[id] and id ~= SELF and NOW - members[id].seen > members[id].lease + TIMEOUT then members[id] = nil end
  if id == SELF or members[id] or not inherit(id) then redis.call('SREM', GONE, id) end
end
if (hasLost or ARGV[6] == '1') and incarnation ~= PROPOSED then rotate() end
redis.call('HSET', MEMBERS, '@', string.format('%s %s %d %d', generation, RUN, born, NOW))
local granted = #missing == 0 and NOW - born > LEASE and isWhole
return { incarnation, redis.call('HINCRBY', META, 'n', 0), string.format('%s %d', generation, NOW), granted and 1 or 0,
  lease, table.concat(all, ','), table.concat(missing, ','), orphans, isWhole and 1 or 0 }
`;

/** KEYS[2] members. */
const leave = `${prelude}
redis.pcall('HDEL', KEYS[2], SELF)
redis.call('DEL', writesOf(SELF))
return 1
`;

/** KEYS[2] entry, KEYS[3..] tags. ARGV[6] largest entry to return, in bytes. The entry is 1 if it is no Weir's. */
const read = `${prelude}
local stamps, text, closed = lookAll(3)
local entry, ttl = false, 0
local head = redis.pcall('GETRANGE', KEYS[2], 0, #text + 100)
if type(head) ~= 'string' or (head ~= '' and not string.match(head, '^[%w-]+|')) then
  entry = 1
elseif not closed and string.sub(head, 1, #text) == text and redis.call('STRLEN', KEYS[2]) <= tonumber(ARGV[6]) then
  entry, ttl = redis.call('GET', KEYS[2]), redis.call('PTTL', KEYS[2])
end
return { incarnation, closed and 1 or 0, stamps, entry, ttl }
`;

/** KEYS[2..] tags. ARGV[6] token, ARGV[7] the note for other Weirs, '' = none. */
const close = `${prelude}
local names = {}
if ARGV[7] ~= '' then remember(writesOf(SELF), ARGV[6], ARGV[7]) end
for k = 2, #KEYS do
  look(KEYS[k])
  redis.call('HSET', KEYS[k], 'm:' .. ARGV[6], string.format('%d', NOW + MARKER))
  redis.call('PEXPIRE', KEYS[k], IDLE)
  names[#names + 1] = name(KEYS[k])
end
sayLapsed()
say({ k = 'close', o = ARGV[6], t = names })
return { incarnation }
`;

/** KEYS[2..] tags. ARGV[6] token, ARGV[7] '1' = bump. */
const open = `${prelude}
local names, stamps = {}, {}
for k = 2, #KEYS do
  local stamp = look(KEYS[k])
  redis.call('HDEL', KEYS[k], 'm:' .. ARGV[6])
  if ARGV[7] == '1' then stamp = bump(KEYS[k]) end
  names[#names + 1], stamps[#stamps + 1] = name(KEYS[k]), stamp
end
local owner = ownerOf(ARGV[6])
if owner then redis.pcall('HDEL', writesOf(owner), ARGV[6]) end
sayLapsed()
if ARGV[7] == '1' then
  say({ k = 'open', o = ARGV[6], t = names, s = stamps })
else
  say({ k = 'open', o = ARGV[6], t = names })
end
return { incarnation, stamps }
`;

/** KEYS[2] entry, KEYS[3..] tags. ARGV[6] the stamps' text, ARGV[7] value, ARGV[8] ttl in ms. */
const store = `${prelude}
local stamps, text, closed = lookAll(3)
if closed or text ~= ARGV[6] then return 0 end
redis.call('SET', KEYS[2], ARGV[7], 'PX', ARGV[8])
return 1
`;

export const scripts = { hello, leave, read, close, open, store } as const;

export type ScriptName = keyof typeof scripts;
