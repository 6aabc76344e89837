package store

import (
	"context"
	"strconv"
	"time"

	"gatehouse/auth/token"
)

// A limit is a count and when its window ends, which is when its key goes too.
// They are all in one slot, for one login counts against several.
const limitPrefix = "gatehouse:{login}:limit:"

const (
	// A window that ends later than one which began now was begun by a clock
	// that was ahead, or was longer once: it ends with that one.
	scriptLimits = scriptClock + `
local function write(key, count, till)
  redis.call('SET', key, text(count) .. ' ' .. text(till), 'PX', text(till - now))
end
local function read(key, window)
  local count, till = string.match(redis.call('GET', key) or '0 0', '^(%d+) (%d+)$')
  count, till = tonumber(count), tonumber(till)
  if count and now >= till then count, till = 0, now + window end
  if count and till > now + window then
    till = now + window
    write(key, count, till)
  end
  return count, till
end
local limits = {}
for i, key in ipairs(KEYS) do
  local max, window = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
  local count, till = read(key, window)
  if not count then return redis.error_reply('ERR the store holds a login limit that cannot be read') end
  limits[i] = {key = key, max = max, count = count, till = till}
end
`
	scriptTake = scriptLimits + `
local wait = 0
for _, l in ipairs(limits) do
  if l.count >= l.max then wait = math.max(wait, l.till - now) end
end
if wait == 0 then
  for _, l in ipairs(limits) do write(l.key, l.count + 1, l.till) end
end
return {text(wait)}
`
	// A window from which all was taken back ends, so that the next begins
	// with its first attempt.
	scriptReturn = scriptLimits + `
for _, l in ipairs(limits) do
  if l.count > 1 then write(l.key, l.count - 1, l.till) else redis.call('DEL', l.key) end
end
return {}
`
)

func limitArgs(limits []token.Limit) (keys []string, args []any) {
	for _, l := range limits {
		keys, args = append(keys, limitPrefix+l.Key), append(args, l.Max, l.Window.Milliseconds())
	}
	return keys, args
}

func (r *redisStore) Take(ctx context.Context, limits []token.Limit) (time.Duration, error) {
	keys, args := limitArgs(limits)
	reply, err := r.eval(ctx, scriptTake, keys, args...)
	if err != nil {
		return 0, err
	}
	ms, err := strconv.ParseInt(reply[0], 10, 64)
	return time.Duration(ms) * time.Millisecond, r.failed(err)
}

func (r *redisStore) Return(ctx context.Context, limits []token.Limit) error {
	keys, args := limitArgs(limits)
	_, err := r.eval(ctx, scriptReturn, keys, args...)
	return err
}
