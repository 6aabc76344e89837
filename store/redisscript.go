package store

import (
	"strconv"
	"time"
)

// What one shard of the list is made of in Redis. The shard's number in braces
// puts all its keys into one hash slot, so that a script may use them all in a
// cluster as well. None of them expires, so that no volatile-* policy evicts
// any.
type redisKeys struct {
	epoch   string // a random name, written once: another one means that data were lost
	stream  string // the log: what was written lately
	entries string // hash: name → times, see revocationName
	expiry  string // sorted set: names by until, to find what is over
	apiKeys string // hash: SHA-256 in hex → keyRecord
}

func keysOf(shard int) redisKeys {
	p := "gatehouse:{" + strconv.Itoa(shard) + "}:"
	return redisKeys{p + "epoch", p + "stream", p + "revocations", p + "expiry", p + "api_keys"}
}

func (k redisKeys) all() []string { return []string{k.epoch, k.stream, k.entries, k.expiry, k.apiKeys} }

// streamRetention is how far behind a follower can be before it needs a
// snapshot again.
const streamRetention = 10 * time.Minute

// The scripts write an entry and its line in the log in one step. They can be
// run twice: the second time changes nothing, and tells the followers again.
//
// ARGV[1] is an epoch, for a store that has none, and ARGV[2] the retention in
// milliseconds. The last entry older than that is kept, for the followers that
// have read to there and no further because nothing came.
const (
	scriptHead = `
local epoch, stream, entries, expiry, apikeys = unpack(KEYS)
if not redis.call('GET', epoch) then redis.call('SET', epoch, ARGV[1]) end
local clock = redis.call('TIME')
`
	scriptTail = `
local cutoff = string.format('%.0f', clock[1] * 1000 - ARGV[2])
local keep = redis.call('XREVRANGE', stream, cutoff, '-', 'COUNT', 1)[1]
if keep then redis.call('XTRIM', stream, 'MINID', '~', keep[1]) end
return {redis.call('XADD', stream, '*', unpack(line))}
`
	scriptRevoke = scriptHead + `
local name, before, till = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local old = redis.call('HGET', entries, name)
if old then
  local b, t = string.match(old, '^(%d+) (%d+)$')
  before, till = math.max(before, tonumber(b)), math.max(till, tonumber(t))
end
local times = string.format('%.0f %.0f', before, till)
redis.call('HSET', entries, name, times)
redis.call('ZADD', expiry, till, name)
local over = string.format('%.0f', clock[1] - ARGV[6])
for _, n in ipairs(redis.call('ZRANGEBYSCORE', expiry, '-inf', over, 'LIMIT', 0, ARGV[7])) do
  redis.call('ZREM', expiry, n)
  redis.call('HDEL', entries, n)
end
local line = {'revoked', name, 'times', times}
` + scriptTail
	scriptPutKey = scriptHead + `
redis.call('HSET', apikeys, ARGV[3], ARGV[4])
local line = {'key_put', ARGV[3], 'record', ARGV[4]}
` + scriptTail
	scriptDeleteKey = scriptHead + `
redis.call('HDEL', apikeys, ARGV[3])
local line = {'key_deleted', ARGV[3]}
` + scriptTail
	// scriptPosition returns the epoch and the log's last id. It writes only
	// into an empty store, so that one out of memory, or a replica, can be
	// read from; there it begins the log, so that there always is a last id.
	scriptPosition = `
local epoch, stream = unpack(KEYS)
if not redis.call('GET', epoch) then redis.call('SET', epoch, ARGV[1]) end
local last = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)[1]
local id = last and last[1] or redis.call('XADD', stream, '*', 'begun', redis.call('GET', epoch))
return {redis.call('GET', epoch), id}
`
)
