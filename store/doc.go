// Package store keeps what must outlive a process and be known to all of them:
// the revocation list, the API keys made at run time, and what the token service
// needs: sessions, counts of failed logins, and sealed key rings.
//
// It owns two stores behind one [Store]: Redis, the only place where go-redis
// occurs, and a durable file (bbolt) for one machine. Each is a log with a
// snapshot, a [gatehouse/auth/revocation.Source]; storetest is the contract of
// both, and of what is kept beside the log. It imports auth, auth/revocation and
// auth/token.
//
// The process that owns a file answers others on a socket beside it. The
// goroutines for that are started by [Open] and have ended when [Store.Close]
// returns; Redis needs none of ours.
//
// # Rights in Redis
//
// A user that can do what this package needs and no more:
//
//	ACL SETUSER gatehouse on >PASSWORD resetchannels resetkeys ~gatehouse:* -@all
//	  +hello +auth +select +ping +info +time +eval +watch +unwatch +wait
//	  +get +set +del +pexpireat +hget +hmget +hset +hdel +hscan
//	  +zadd +zrem +zrange +zrangebyscore +zremrangebyscore
//	  +xadd +xtrim +xread +xrange +xrevrange
//
// A maxmemory-policy of volatile-… evicts no entry of the list, but sessions,
// which logs users out, and counts of logins. With noeviction nothing is lost.
package store
