package token_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"gatehouse/test/rig"
)

func TestSessionHasAnEnd(t *testing.T) {
	stores(t, func(t *testing.T, url string) {
		const life = 4
		w := start(t, url, set("ACCESS_TTL", "2s"), set("GRACE", "0s"), set("MAX_SESSION", fmt.Sprint(life, "s")), set("REFRESH_TTL", "3s"))
		got := w.login(t)
		begun := number(t, part(t, got.Access, 1), "auth_time")
		refreshes := 0
		for end := time.Now().Add(rig.Patience); ; time.Sleep(300 * time.Millisecond) {
			a := w.refresh(t, got.Refresh)
			if now := time.Now().Unix(); a.Status != 200 {
				refused(t, a, 400, "invalid_grant")
				if now < begun+life || refreshes < 3 {
					t.Errorf("refused %d s after the login, after %d refreshes: %s", now-begun, refreshes, a.Body)
				}
				break
			}
			refreshes++
			got = granted(t, a)
			claims := part(t, got.Access, 1)
			if exp := number(t, claims, "exp"); exp > begun+life || number(t, claims, "auth_time") != begun {
				t.Errorf("a token of the session ends %d s after the login: %v", exp-begun, claims)
			}
			if time.Now().After(end) {
				t.Fatal("the session never ends")
			}
		}
		rig.Eventually(t, "expired", func() bool { return w.call(t, got.Access).Status == 401 })
	})
}

func TestRefreshTokenExpires(t *testing.T) {
	stores(t, func(t *testing.T, url string) {
		w := start(t, url, set("ACCESS_TTL", "1s"), set("GRACE", "0s"), set("REFRESH_TTL", "2s"))
		got := w.login(t)
		time.Sleep(2500 * time.Millisecond)
		refused(t, w.refresh(t, got.Refresh), 400, "invalid_grant")
	})
}

func TestExchangeAtOnce(t *testing.T) {
	t.Parallel()
	one, two, _ := pair(t)
	first := one.login(t)
	var group sync.WaitGroup
	var mu sync.Mutex
	var successors []string
	gate := make(chan struct{})
	for i := range 32 {
		group.Go(func() {
			<-gate
			a := []*world{one, two}[i%2].get(t, "/v1/token", bearer(first.Access))
			if a.Status == 401 {
				tokenless(t, a)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			successors = append(successors, text(t, object(t, a.Body), "data", "access_token"))
		})
	}
	close(gate)
	group.Wait()
	if len(successors) == 0 {
		t.Fatal("the token was never exchanged")
	}
	one.dead(t, first.Access)
	for _, access := range successors {
		one.alive(t, access)
	}
	one.get(t, "/v1/logout", bearer(successors[0]))
	for _, access := range successors {
		two.dead(t, access)
	}
}
