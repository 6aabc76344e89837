package store

import (
	"context"
	"strconv"
)

// The key rings are one hash each.
func ringKey(issuer string) string { return "gatehouse:{keys}:ring:" + issuer }

// The second time the ring is what was to be written.
const scriptPutKeyring = `
local ring, from, to, data = KEYS[1], unpack(ARGV)
local version, there = unpack(redis.call('HMGET', ring, 'version', 'data'))
if (not version) ~= (not there) then return redis.error_reply('ERR the store holds a key ring that cannot be read') end
if (version or '0') ~= from and not (version == to and there == data) then return {'conflict'} end
redis.call('HSET', ring, 'version', to, 'data', data)
return {'put'}
`

func (r *redisStore) keyring(ctx context.Context, issuer string) ([]byte, uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Timeout)
	defer cancel()
	fields, err := r.client.HMGet(ctx, ringKey(issuer), "version", "data").Result()
	if err != nil {
		return nil, 0, r.failed(err)
	}
	if fields[0] == nil && fields[1] == nil {
		return nil, 0, nil
	}
	text, _ := fields[0].(string)
	data, _ := fields[1].(string)
	version, err := strconv.ParseUint(text, 10, 64)
	if err != nil || version == 0 || data == "" {
		return nil, 0, errRing
	}
	return []byte(data), version, nil
}

func (r *redisStore) putKeyring(ctx context.Context, issuer string, data []byte, version uint64) error {
	from, to := strconv.FormatUint(version, 10), strconv.FormatUint(version+1, 10)
	reply, err := r.evalDurably(ctx, scriptPutKeyring, []string{ringKey(issuer)}, from, to, data)
	if err == nil && reply[0] == "conflict" {
		return ErrConflict
	}
	return err
}
