package store

import (
	"context"
	"encoding/hex"
	"strconv"

	"gatehouse/auth/token"
)

// A session is a hash, and the sessions of a subject are a sorted set of ids by
// when they end. Both lie in the slot of the subject's shard, so that a script
// may go from one to the other. Unlike the list they expire: who loses a session
// logs in again.

func sessionPrefix(shard uint8) string {
	return "gatehouse:{s" + strconv.Itoa(int(shard)) + "}:session:"
}

func sessionKey(id string) string {
	shard, _ := token.SessionShard(id)
	return sessionPrefix(shard) + id
}

func subjectKey(issuer, subject string) string {
	sum := token.SubjectHash(issuer, subject)
	return "gatehouse:{s" + strconv.Itoa(int(sum[0])) + "}:subject:" + hex.EncodeToString(sum[:])
}

// sessionFields is how many fields of a session scriptReadSession answers with.
const sessionFields = 6

// The scripts can be run twice: the second time changes nothing, and has the
// same result. WAIT then covers what was written the first time, also on another
// connection: it counts from the last reply on its own.
const (
	scriptClock = `
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local function text(n) return string.format('%.0f', n) end
`
	// keep has a session and its place in the index go a slack after its end.
	scriptKeep = scriptClock + `
local function keep(session, index, sid, expires, slack)
  redis.call('PEXPIREAT', session, text(expires + slack))
  redis.call('ZREMRANGEBYSCORE', index, '-inf', text(now - slack))
  redis.call('ZADD', index, expires, sid)
  local last = redis.call('ZRANGE', index, -1, -1, 'WITHSCORES')[2]
  redis.call('PEXPIREAT', index, text(last + slack))
end
`
	scriptPutSession = scriptKeep + `
local session, index = unpack(KEYS)
local sid, record, family, current, refreshed, expires, slack = unpack(ARGV)
redis.call('DEL', session)
redis.call('HSET', session, 'record', record, 'family', family, 'current', current,
  'refreshed', refreshed, 'expires', expires, 'index', index)
keep(session, index, sid, expires, slack)
return {}
`
	// read adds the fields of a session to found, unless it is over. One of
	// which a part is missing is answered with: it is an error.
	scriptReadSession = scriptClock + `
local found = {}
local function read(session)
  local fields = redis.call('HMGET', session, 'record', 'family', 'current', 'refreshed', 'expires', 'replayed')
  local over = tonumber(fields[5] or '')
  if not (fields[1] or fields[2] or fields[3] or fields[4] or fields[5]) or over and now >= over then return end
  for i = 1, 6 do table.insert(found, fields[i] or '') end
end
`
	scriptSession = scriptReadSession + `
read(KEYS[1])
return found
`
	scriptSessions = scriptReadSession + `
local prefix, most = unpack(ARGV)
for _, sid in ipairs(redis.call('ZRANGE', KEYS[1], 0, most - 1, 'REV')) do read(prefix .. sid) end
return found
`
	// A rotation is remembered as the hash of the token that was presented, the
	// salt, and until when, in the field past, oldest first.
	scriptRotateSession = scriptKeep + `
local session = KEYS[1]
local sid, family, presented, following, salt, grace, expires, slack, most = unpack(ARGV)
local index, own, current, over, replayed, past =
  unpack(redis.call('HMGET', session, 'index', 'family', 'current', 'expires', 'replayed', 'past'))
if not (index or own or current or over) then return {'unknown', ''} end
local line = '(%x+) (%x+) (%d+)\n'
if not (index and own and current and tonumber(over or '')) or string.gsub(past or '', line, '') ~= '' then
  return redis.error_reply('ERR the store holds a session that cannot be read')
end
if now >= tonumber(over) or own ~= family then return {'unknown', ''} end
local remembered, before = {}, nil
for hash, salt, till in string.gmatch(past or '', line) do
  if now < tonumber(till) then
    table.insert(remembered, hash .. ' ' .. salt .. ' ' .. till .. '\n')
    if hash == presented then before = salt end
  end
end
if replayed or current ~= following and current ~= presented and not before then
  redis.call('HSET', session, 'replayed', '1')
  return {'replayed', ''}
end
if current ~= following and current ~= presented then return {'repeated', before} end
if current == presented then
  table.insert(remembered, presented .. ' ' .. salt .. ' ' .. text(now + grace) .. '\n')
  if #remembered > tonumber(most) then table.remove(remembered, 1) end
end
redis.call('HSET', session, 'current', following, 'refreshed', text(now), 'expires', expires, 'past', table.concat(remembered))
keep(session, index, sid, expires, slack)
return {'rotated', ''}
`
	scriptEndSession = `
local session, sid = KEYS[1], ARGV[1]
local index = redis.call('HGET', session, 'index')
if index then redis.call('ZREM', index, sid) end
redis.call('DEL', session)
return {}
`
)

var rotationResults = map[string]token.RotationResult{
	"unknown": token.RotationUnknown, "rotated": token.Rotated,
	"repeated": token.RotationRepeated, "replayed": token.RotationReplayed,
}

func (r *redisStore) PutSession(ctx context.Context, s token.Session, hashes token.RefreshHashes) error {
	record, err := encodeSession(s)
	if err != nil {
		return err
	}
	state := stateOf(s, hashes)
	_, err = r.evalDurably(ctx, scriptPutSession, []string{sessionKey(s.ID), subjectKey(s.Issuer, s.Subject)},
		s.ID, record, state.Family.String(), state.Current.String(), state.Refreshed, state.Expires, trimSlack.Milliseconds())
	return err
}

func (r *redisStore) Session(ctx context.Context, id string) (token.Session, error) {
	fields, err := r.eval(ctx, scriptSession, []string{sessionKey(id)})
	if err != nil {
		return token.Session{}, err
	}
	if len(fields) == 0 {
		return token.Session{}, token.ErrNoSession
	}
	return parseSession(fields)
}

func (r *redisStore) sessions(ctx context.Context, issuer, subject string) ([]token.Session, error) {
	prefix := sessionPrefix(token.SubjectHash(issuer, subject)[0])
	fields, err := r.eval(ctx, scriptSessions, []string{subjectKey(issuer, subject)}, prefix, maxListed)
	if err != nil {
		return nil, err
	}
	var list []token.Session
	for ; len(fields) >= sessionFields; fields = fields[sessionFields:] {
		s, err := parseSession(fields)
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, nil
}

func (r *redisStore) RotateSession(ctx context.Context, id string, rot token.Rotation) (result token.RotationResult, salt [32]byte, err error) {
	text := func(b [32]byte) string { return hex.EncodeToString(b[:]) }
	reply, err := r.evalDurably(ctx, scriptRotateSession, []string{sessionKey(id)},
		id, text(rot.Presented.Family), text(rot.Presented.Current), text(rot.Next), text(rot.Salt),
		rot.Grace.Milliseconds(), rot.Expires.UnixMilli(), trimSlack.Milliseconds(), maxRemembered)
	if err != nil {
		return 0, salt, err
	}
	result, ok := rotationResults[reply[0]]
	if result == token.RotationRepeated {
		err = (*hex32)(&salt).UnmarshalText([]byte(reply[1]))
	}
	if !ok || err != nil {
		return 0, salt, errSession
	}
	return result, salt, nil
}

func (r *redisStore) EndSession(ctx context.Context, id string) error {
	_, err := r.evalDurably(ctx, scriptEndSession, []string{sessionKey(id)}, id)
	return err
}
