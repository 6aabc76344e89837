// Package store keeps what must outlive a process and be known to all of them:
// the revocation list, and the API keys made at run time.
//
// It owns two stores behind one [Store]: Redis, the only place where go-redis
// occurs, and a durable file (bbolt) for one machine. Each is a log with a
// snapshot, a [gatehouse/auth/revocation.Source]; storetest is the contract of
// both. It imports auth and auth/revocation.
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
//	  +get +set +hget +hset +hdel +hscan +zadd +zrem +zrangebyscore
//	  +xadd +xtrim +xread +xrange +xrevrange
package store
