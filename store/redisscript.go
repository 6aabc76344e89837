package store

import (
	"strconv"
	"time"
)

// What one shard of the list is made of in Redis. The shard's number in braces
// puts all its keys into one hash slot, so that a script may use them all in a
// cluster as well. None of them but healing expires, so that no volatile-*
// policy evicts any.
type redisKeys struct {
	epoch   string // a random name, written once: another one means that data were lost
	stream  string // the log: what was written lately
	entries string // hash: name → times, see revocationName
	expiry  string // sorted set: names by until, to find what is over
	apiKeys string // hash: SHA-256 in hex → keyRecord
	server  string // whose data these are, and since when: run id/epoch, and Unix milliseconds
	healing string // is there while entries are written back
	vouched string // hash: whose data they were → whose data have all of them again, see scriptVouch
}

func keysOf(shard int) redisKeys {
	p := "gatehouse:{" + strconv.Itoa(shard) + "}:"
	return redisKeys{p + "epoch", p + "stream", p + "revocations", p + "expiry", p + "api_keys", p + "server", p + "healing", p + "vouched"}
}

func (k redisKeys) all() []string {
	return []string{k.epoch, k.stream, k.entries, k.expiry, k.apiKeys, k.server, k.healing, k.vouched}
}

// streamRetention is how far behind a follower can be before it needs a
// snapshot again.
const streamRetention = 10 * time.Minute

const (
	// settleTime is how long a list is settling after it got another server or
	// another epoch: every replica that reaches the server has noticed by then
	// and begun to write back. They wait at most 500 ms for something to come
	// and 250 ms after a failure; the rest is for what they ask.
	settleTime = 1500 * time.Millisecond
	// healingTime is how long after a batch, or its announcement, the next is
	// waited for.
	healingTime = time.Second
)

// The scripts write an entry and its line in the log in one step. They can be
// run twice: the second time changes nothing, and tells the followers again.
//
// ARGV[1] is an epoch, for a store that has none; one that has another number of
// shards at its end is not written to. ARGV[2] is the retention in milliseconds. The last entry older than that is kept, for the followers that
// have read to there and no further because nothing came.
const (
	scriptHead = `
local epoch, stream, entries, expiry, apikeys, server, healing = unpack(KEYS)
local begun = redis.call('GET', epoch)
if not begun then redis.call('SET', epoch, ARGV[1])
elseif string.match(begun, '/.*') ~= string.match(ARGV[1], '/.*') then return redis.error_reply('SHARDS ' .. begun) end
local clock = redis.call('TIME')
`
	// The first line is looked at, because XREVRANGE from before that would walk
	// through all of the log: 70 ms in one of a million lines.
	scriptTail = `
local cutoff = clock[1] * 1000 - ARGV[2]
local first = redis.call('XRANGE', stream, '-', '+', 'COUNT', 1)[1]
if first and tonumber(string.match(first[1], '^%d+')) <= cutoff then
  local keep = redis.call('XREVRANGE', stream, string.format('%.0f', cutoff), '-', 'COUNT', 1)[1]
  redis.call('XTRIM', stream, 'MINID', '~', keep[1])
end
return {}
`
	// scriptRevoke takes any number of entries from ARGV[6] on: name, before,
	// until. ARGV[5] is for how many milliseconds more are to be waited for; 0:
	// this is no writing back, and is told also when it changes nothing.
	scriptRevoke = scriptHead + `
local restoring = tonumber(ARGV[5])
if restoring > 0 then redis.call('SET', healing, '1', 'PX', restoring) end
for i = 6, #ARGV, 3 do
  local name, before, till = ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])
  local old = redis.call('HGET', entries, name)
  if old then
    local b, t = string.match(old, '^(%d+) (%d+)$')
    before, till = math.max(before, tonumber(b)), math.max(till, tonumber(t))
  end
  local times = string.format('%.0f %.0f', before, till)
  if times ~= old then
    redis.call('HSET', entries, name, times)
    redis.call('ZADD', expiry, till, name)
  end
  if times ~= old or restoring == 0 then
    redis.call('XADD', stream, '*', 'revoked', name, 'times', times)
  end
end
local over = string.format('%.0f', clock[1] - ARGV[3])
for _, n in ipairs(redis.call('ZRANGEBYSCORE', expiry, '-inf', over, 'LIMIT', 0, ARGV[4])) do
  redis.call('ZREM', expiry, n)
  redis.call('HDEL', entries, n)
end
` + scriptTail
	scriptPutKey = scriptHead + `
redis.call('HSET', apikeys, ARGV[3], ARGV[4])
redis.call('XADD', stream, '*', 'key_put', ARGV[3], 'record', ARGV[4])
` + scriptTail
	scriptDeleteKey = scriptHead + `
redis.call('HDEL', apikeys, ARGV[3])
redis.call('XADD', stream, '*', 'key_deleted', ARGV[3])
` + scriptTail
	// scriptPosition returns the epoch, the server's run id, the log's last id,
	// and for how many milliseconds the list is settling. ARGV[3] is how the epoch
	// must end; empty: anyhow. It writes only into a store that is empty or must be
	// begun anew, so that one out of memory, or a replica, can be read from;
	// there it begins the log, so that there always is a last id. That the
	// server is another one it notes where it can; where it cannot, nobody can
	// write anything back either, and the time since the start will do.
	scriptPosition = `
local epoch, stream, entries, expiry, apikeys, server = unpack(KEYS)
local begun = redis.call('GET', epoch)
if not begun or ARGV[3] ~= '' and string.match(begun, '/.*') ~= ARGV[3] then redis.call('SET', epoch, ARGV[1]) end
local last = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)[1]
local id = last and last[1] or redis.call('XADD', stream, '*', 'begun', redis.call('GET', epoch))
local clock, info = redis.call('TIME'), redis.pcall('INFO', 'server')
if type(info) ~= 'string' then info = '' end
local run = string.match(info, 'run_id:(%w+)') or '-'
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local whose = run .. '/' .. redis.call('GET', epoch)
local had, since = string.match(redis.call('GET', server) or '', '^(%S+) (%d+)$')
if had ~= whose or tonumber(since) > now then -- or its clock was set back
  since = now
  local noted = redis.pcall('SET', server, whose .. ' ' .. string.format('%.0f', since))
  if noted.err then since = now - 1000 * (string.match(info, 'uptime_in_seconds:(%d+)') or 0) end
end
return {redis.call('GET', epoch), run, id, string.format('%.0f', math.max(0, since + ARGV[2] - now))}
`
)
