package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/auth"
	"gatehouse/auth/revocation"
	"gatehouse/config"
)

const secret = "Zq3t6w9zcCyF)J@NcRfUjXn2r5u8x/A%"

func sha(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

// rig is a gateway that runs in this process, in front of an upstream.
type rig struct {
	*Gateway
	t      *testing.T
	folder string
	log    *logBuffer
	stop   func() error
}

type logBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// yaml is a configuration with one route to the upstream; more stands behind.
func yaml(upstream, more string) string {
	return fmt.Sprintf(`server: {listen: "127.0.0.1:0", drain_timeout: 5s}
admin: {listen: "127.0.0.1:0", token: "an admin token for tests, 32 bytes"}
store: {url: "memory:"}
api_keys: {keys: [{id: web, sha256: %s}]}
issuers:
  - {name: main, issuer: https://auth.example.com, audiences: [api], keys: [{kid: k1, algorithm: HS256, secret: "%s"}], renew: {after: 0}}
routes:
  - {name: orders, match: /orders/, upstream: "%s", renew: true}
%s`, sha("web-key"), secret, upstream, more)
}

func start(t *testing.T, text string) *rig {
	t.Helper()
	r := &rig{t: t, folder: t.TempDir(), log: &logBuffer{}}
	r.write(text)
	load := func() (*config.Config, error) {
		return config.Load(config.LoadConfig{File: filepath.Join(r.folder, "gateway.yaml")})
	}
	cfg, err := load()
	if err != nil {
		t.Fatal(err)
	}
	if r.Gateway, err = New(t.Context(), Config{Config: cfg, Load: load, Log: NewLog(cfg.Log, r.log)}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	r.stop = sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() { _ = r.stop() })
	r.eventually("ready", r.Ready)
	return r
}

func (r *rig) write(text string) {
	r.t.Helper()
	name := filepath.Join(r.folder, "gateway.yaml")
	if err := os.WriteFile(name+".new", []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
	if err := os.Rename(name+".new", name); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) eventually(what string, holds func() bool) {
	r.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			r.t.Fatalf("never %s\n%s", what, r.log)
		}
	}
}

func (r *rig) token(claims map[string]any) string {
	r.t.Helper()
	key, err := auth.NewSecretKey("k1", "HS256", []byte(secret))
	if err != nil {
		r.t.Fatal(err)
	}
	all := map[string]any{
		"iss": "https://auth.example.com", "aud": "api", "sub": "u1", "jti": "t1",
		"iat": time.Now().Unix() - 5, "exp": time.Now().Unix() + 600,
	}
	for name, v := range claims {
		all[name] = v
	}
	token, err := auth.Sign(key, "JWT", all)
	if err != nil {
		r.t.Fatal(err)
	}
	return token
}

func (r *rig) get(path string, header ...string) *http.Response {
	r.t.Helper()
	return r.do(http.DefaultClient, "GET", "http://"+r.Addr().String()+path, "", header...)
}

func (r *rig) admin(method, path, body string) *http.Response {
	r.t.Helper()
	return r.do(http.DefaultClient, method, "http://"+r.AdminAddr().String()+path, body, "Authorization", "Bearer an admin token for tests, 32 bytes", "Content-Type", "application/json")
}

func (r *rig) do(client *http.Client, method, url, body string, header ...string) *http.Response {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := client.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	res.Body = io.NopCloser(strings.NewReader(string(text)))
	return res
}

func text(res *http.Response) string {
	b, _ := io.ReadAll(res.Body)
	return string(b)
}

// echo is an upstream that answers with the identity that it was told.
func echo(t *testing.T) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "user=%s client=%s authorization=%q", r.Header.Get("X-User-Id"), r.Header.Get("X-Client-Id"), r.Header.Get("Authorization"))
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func oneShard(t *testing.T) *list {
	t.Helper()
	l, err := newList(1, revocation.MirrorConfig{})
	if err != nil {
		t.Fatal(err)
	}
	return l
}
