package proxy

import (
	"net/http"
	"testing"
)

func TestWantsWebSocket(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*http.Request)
		want   bool
	}{
		"as browsers ask":        {func(*http.Request) {}, true},
		"among other options":    {func(r *http.Request) { r.Header["Connection"] = []string{"keep-alive", "x , uPgrade"} }, true},
		"in another case":        {func(r *http.Request) { r.Header["Upgrade"] = []string{"WebSocket"} }, true},
		"no connection option":   {func(r *http.Request) { delete(r.Header, "Connection") }, false},
		"another option":         {func(r *http.Request) { r.Header["Connection"] = []string{"keep-alive", "upgraded"} }, false},
		"no upgrade":             {func(r *http.Request) { delete(r.Header, "Upgrade") }, false},
		"something besides":      {func(r *http.Request) { r.Header["Upgrade"] = []string{"websocket, h2c"} }, false},
		"something besides, too": {func(r *http.Request) { r.Header["Upgrade"] = []string{"websocket", "h2c"} }, false},
		"another method":         {func(r *http.Request) { r.Method = http.MethodPost }, false},
		"HTTP/1.0":               {func(r *http.Request) { r.ProtoMinor = 0 }, false},
		"HTTP/2":                 {func(r *http.Request) { r.ProtoMajor, r.ProtoMinor = 2, 0 }, false},
		"with a body":            {func(r *http.Request) { r.ContentLength = 1 }, false},
		"with a chunked body":    {func(r *http.Request) { r.ContentLength = -1 }, false},
	} {
		r := &http.Request{
			Method: http.MethodGet, ProtoMajor: 1, ProtoMinor: 1,
			Header: http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}},
		}
		c.change(r)
		if got := wantsWebSocket(r); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
