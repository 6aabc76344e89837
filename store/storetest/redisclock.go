package storetest

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// clockSource is put in front of the C library: the clock on the wall is as far
// ahead as a file says, and the one that only goes forward is left alone.
const clockSource = `
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile long *step;
__attribute__((constructor)) static void begin(void) {
  step = mmap(0, sizeof *step, PROT_READ, MAP_SHARED, open(getenv("CLOCK_STEP"), O_RDONLY), 0);
}
int gettimeofday(struct timeval *tv, void *zone) {
  int r = syscall(SYS_gettimeofday, tv, zone);
  if (tv) tv->tv_sec += *step;
  return r;
}
int clock_gettime(clockid_t id, struct timespec *ts) {
  int r = syscall(SYS_clock_gettime, id, ts);
  if (id == CLOCK_REALTIME) ts->tv_sec += *step;
  return r;
}
time_t time(time_t *t) {
  struct timeval tv;
  gettimeofday(&tv, 0);
  if (t) *t = tv.tv_sec;
  return tv.tv_sec;
}
`

// StartRedisClock is StartRedis for a server whose clock can be set: to so far
// ahead of the right time, or behind it.
func StartRedisClock(t testing.TB, args ...string) (r *Redis, set func(ahead time.Duration)) {
	t.Helper()
	need(t, "cc", "gcc")
	dir := t.TempDir()
	source, library, file := filepath.Join(dir, "clock.c"), filepath.Join(dir, "clock.so"), filepath.Join(dir, "step")
	check(t, os.WriteFile(source, []byte(clockSource), 0o600))
	if out, err := exec.Command("cc", "-shared", "-fPIC", "-o", library, source).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	f, err := os.Create(file)
	check(t, err)
	t.Cleanup(func() { _ = f.Close() })
	set = func(ahead time.Duration) {
		t.Helper()
		_, err := f.WriteAt(binary.NativeEndian.AppendUint64(nil, uint64(ahead/time.Second)), 0)
		check(t, err)
	}
	set(0)
	return start(t, &Redis{
		dir: t.TempDir(), args: append([]string{"--save", "", "--appendonly", "no"}, args...),
		env: []string{"LD_PRELOAD=" + library, "CLOCK_STEP=" + file},
	}), set
}
