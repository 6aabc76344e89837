package store

import (
	"context"
	"fmt"

	"gatehouse/auth"
	"gatehouse/auth/revocation"
)

// vouchSlack is how many milliseconds of the log a replica that vouches may not
// have read which others had: what they have heard last they know exactly, and
// write back themselves.
const vouchSlack = 2000

const (
	// scriptConfirm returns whether the list has all that it had at a place in
	// the log (ARGV[1] to [3]: epoch, run id, id), and then the times of each of
	// the names from ARGV[5] on, empty where there is none. It has, when these are
	// the same data and that line is still there; or when somebody who had read as
	// far, less ARGV[4] milliseconds, has vouched for it, and nobody is writing
	// back.
	scriptConfirm = scriptWhose + `
local whole = whose == ARGV[2] .. '/' .. ARGV[1] and redis.call('XRANGE', stream, ARGV[3], ARGV[3])[1]
if not whole and not redis.call('GET', healing) then
  local to, ms = string.match(redis.call('HGET', vouched, ARGV[2] .. '/' .. ARGV[1]) or '', '^(%S+) (%d+)$')
  whole = to == whose and ms + ARGV[4] >= tonumber(string.match(ARGV[3], '^%d+'))
end
local reply = {whole and '1' or ''}
for i = 5, #ARGV do reply[#reply + 1] = redis.call('HGET', entries, ARGV[i]) or '' end
return reply
`
	// scriptVouch notes that the data ARGV[4], which must be those that are here,
	// have all that was in the data of a place in the log (ARGV[1] to [3]) up to
	// there. Each loss leaves one such line.
	scriptVouch = scriptWhose + `
local from, ms = ARGV[2] .. '/' .. ARGV[1], string.match(ARGV[3], '^%d+')
if whose ~= ARGV[4] or from == whose then return {} end
local to, had = string.match(redis.call('HGET', vouched, from) or '', '^(%S+) (%d+)$')
if to ~= whose or tonumber(had) < tonumber(ms) then redis.call('HSET', vouched, from, whose .. ' ' .. ms) end
return {}
`
	scriptWhose = `
local epoch, stream, entries, expiry, apikeys, server, healing, vouched = unpack(KEYS)
local info = redis.pcall('INFO', 'server')
local run = type(info) == 'string' and string.match(info, 'run_id:(%w+)') or '-'
local whose = run .. '/' .. (redis.call('GET', epoch) or '')
`
)

// Confirm implements revocation.Confirmer.
func (s *redisShard) Confirm(ctx context.Context, since revocation.Position, asked ...auth.Revocation) ([]auth.Revocation, bool, error) {
	if err := s.divided(); err != nil {
		return nil, false, err // what belongs here is written elsewhere by now
	}
	at, ok := parsePosition(since)
	if !ok {
		return nil, false, fmt.Errorf("%w: there is no position %q in its log", ErrUnavailable, since)
	}
	args, names := []any{at.epoch, at.run, at.id, vouchSlack}, namesOf(asked)
	for _, name := range names {
		args = append(args, name)
	}
	reply, err := s.eval(ctx, scriptConfirm, s.keys.all(), args...)
	if err != nil {
		return nil, false, err
	}
	var there []auth.Revocation
	for i, times := range reply[1:] {
		if times == "" {
			continue
		}
		r, err := parseRevocation(names[i], times)
		if err != nil {
			return nil, false, fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		there = append(there, r)
	}
	return there, reply[0] != "", nil
}

// Vouch implements revocation.Confirmer.
func (s *redisShard) Vouch(ctx context.Context, since, now revocation.Position) error {
	from, known := parsePosition(since)
	to, ok := parsePosition(now)
	if !known || !ok {
		return fmt.Errorf("%w: there is no position %q or %q in its log", ErrUnavailable, since, now)
	}
	_, err := s.eval(ctx, scriptVouch, s.keys.all(), from.epoch, from.run, from.id, to.run+"/"+to.epoch)
	return err
}

// namesOf returns both names of each entry: its own, and that by which it is kept
// when it was written back.
func namesOf(entries []auth.Revocation) (names []string) {
	for _, r := range entries {
		names = append(names, revocationName(r), revocationName(auth.Revocation{Kind: r.Kind, ByKey: r.Key()}))
	}
	return names
}
