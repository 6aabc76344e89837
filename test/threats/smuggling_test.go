package threats

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"gatehouse/test/rig"
)

const (
	openPost = "POST /open/ HTTP/1.1\r\nHost: gw.example\r\n"
	// smuggled is what must never be taken for a request of its own.
	smuggled = "GET /open/smuggled HTTP/1.1\r\nHost: gw.example\r\n\r\n"
)

func TestS01S02S03S04Framing(t *testing.T) {
	w := attack(t)
	chunks := "\r\n\r\n0\r\n\r\n" + smuggled
	all := []try{
		{"CL.TE", openPost + "Content-Length: 6\r\nTransfer-Encoding: chunked" + chunks, 400, "request_malformed"},
		{"TE.CL", openPost + "Transfer-Encoding: chunked\r\nContent-Length: 0" + chunks, 400, "request_malformed"},
		{"TE on HTTP/1.0", "POST /open/ HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked" + chunks, 400, "request_malformed"},
		{"two TE", openPost + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity" + chunks, 400, "request_malformed"},
		{"HTTP/1.9", "GET /open/ HTTP/1.9\r\nHost: gw.example\r\n\r\n", 505, "request_malformed"},
		{"HTTP/2.0 in the line", "GET /open/ HTTP/2.0\r\nHost: gw.example\r\n\r\n", 505, "request_malformed"},
		{"HTTP/0.9", "GET /open/\r\n\r\n", 400, "request_malformed"},
	}
	for te, status := range map[string]int{"xchunked": 501, "identity": 501, "gzip, chunked": 501, "Chunked": 501, "chunked, chunked": 501, "\x0bchunked": 400, "": 400, "\tchunked": 400} {
		all = append(all, try{fmt.Sprintf("TE %q", te), openPost + "Transfer-Encoding: " + te + chunks, status, "request_malformed"})
	}
	for _, cl := range []string{"+4", "-4", "4, 4", "", "0x4", "4\r\nContent-Length: 5", "4\r\nContent-Length: 4", "99999999999999999999", "4 4", "1e1"} {
		all = append(all, try{fmt.Sprintf("CL %q", cl), openPost + "Content-Length: " + cl + "\r\n\r\nbody" + smuggled, 400, "request_malformed"})
	}
	w.refused(t, all...)
}

// A body that is found malformed on its way is the client's fault, and no
// request is read behind it.
func TestS05Chunks(t *testing.T) {
	w := attack(t)
	for _, chunks := range []string{
		"1\nx\r\n0\r\n\r\n", "0x1\r\nx\r\n0\r\n\r\n", "\r\nx\r\n0\r\n\r\n", "+1\r\nx\r\n0\r\n\r\n", "1\r\nxy\r\n0\r\n\r\n", "1;a\x00\r\nx\r\n0\r\n\r\n",
		"1\r\nx\n0\r\n\r\n", "1 \r\nx\r\n0\r\n\r\n", "ffffffffffffffff1\r\nx", "1;" + strings.Repeat("a", 20000) + "\r\nx\r\n0\r\n\r\n", "0\r\nGET /open/ HTTP/1.1\r\n\r\n",
	} {
		answers := w.SendAll(t, openPost+"Transfer-Encoding: chunked\r\n\r\n"+chunks+smuggled)
		if len(answers) != 1 {
			t.Errorf("%.30q: %d answers", chunks, len(answers))
			continue
		}
		answers[0].Refused(t, 400, "request_malformed")
		if !answers[0].Closed {
			t.Errorf("%.30q: the connection stays open", chunks)
		}
		for _, r := range w.up.Take() {
			if strings.Contains(r.RequestURI, "smuggled") {
				t.Errorf("%.30q: smuggled", chunks)
			}
		}
	}
}

func TestS06S07S08Lines(t *testing.T) {
	w := attack(t)
	var all []try
	for _, raw := range []string{
		"GET /open/ HTTP/1.1\nHost: gw.example\n\n", "GET /open/ HTTP/1.1\r\nHost: gw.example\n\r\n", "GET /open/ HTTP/1.1\r\nHost: gw.example\r\nA: b\r\n c\r\n\r\n",
		"GET /open/ HTTP/1.1\r\nHost: gw.example\r\nA: b\rC: d\r\n\r\n", "GET /open/ HTTP/1.1\r\nHost : gw.example\r\n\r\n", "GET /open/ HTTP/1.1\r\n Host: gw.example\r\n\r\n",
		"GET /open/ HTTP/1.1\r\nHost: gw.example\r\nA\r\n\r\n", "GET /open/ HTTP/1.1\r\nHost: gw.example\r\n: a\r\n\r\n", "GET  /open/ HTTP/1.1\r\nHost: gw.example\r\n\r\n",
		"GET /open/  HTTP/1.1\r\nHost: gw.example\r\n\r\n", "GET\t/open/\tHTTP/1.1\r\nHost: gw.example\r\n\r\n", " GET /open/ HTTP/1.1\r\nHost: gw.example\r\n\r\n",
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "GET /open/ http/1.1\r\nHost: gw.example\r\n\r\n", "GET /open/ HTTP/1.1 x\r\nHost: gw.example\r\n\r\n",
		"GET /open/ HTTP/1.1\r\nHost: gw.example\r\nA: \x00\r\n\r\n", "GET /open/ HTTP/1.1\r\nHost: gw.example\r\nContent-Length\r\n : 5\r\n\r\n",
	} {
		all = append(all, try{fmt.Sprintf("%.80q", raw), raw + smuggled, 400, "request_malformed"})
	}
	all = append(all,
		try{"101 lines", rig.Get("/open/", strings.Split(strings.TrimSuffix(strings.Repeat("A: b\n", 101), "\n"), "\n")...), 431, "request_too_large"},
		try{"33 KiB", rig.Get("/open/", "A: "+strings.Repeat("b", 33<<10)), 431, "request_too_large"})
	w.refused(t, all...)
}

func TestS09Expect(t *testing.T) {
	w := attack(t)
	head := openPost + "Connection: close\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"
	c := w.Dial(t)
	_, _ = io.WriteString(c, head)
	first := make([]byte, len("HTTP/1.1 100 Continue\r\n\r\n"))
	if _, err := io.ReadFull(c.Buffered(), first); err != nil || !strings.HasPrefix(string(first), "HTTP/1.1 100 ") {
		t.Fatalf("%q %v", first, err)
	}
	_, _ = io.WriteString(c, "body")
	if a, err := c.Read("POST"); err != nil || a.Status != 200 {
		t.Errorf("%d %v", a.Status, err)
	}
	if r := w.up.Last(t); r.Body != "body" || r.Header.Get("Expect") != "" {
		t.Errorf("%q, Expect %q", r.Body, r.Header.Get("Expect"))
	}
	w.refused(t,
		try{"refused without 100", strings.Replace(head, "/open/", "/orders/", 1), 401, "api_key_missing"},
		try{"too large without 100", strings.Replace(head, "Length: 4", "Length: 4000", 1), 413, "request_too_large"},
		try{"something else", strings.Replace(head, "100-continue", "100-continue, x", 1), 400, "request_malformed"},
		try{"twice", strings.Replace(head, "Expect: ", "Expect: 100-continue\r\nExpect: ", 1), 400, "request_malformed"},
	)
}

// A refused request's body is never taken for the next request.
func TestS10RefusedWithBody(t *testing.T) {
	w := attack(t)
	w.control(t)
	for name, raw := range map[string]string{
		"length":  "POST /orders/ HTTP/1.1\r\nHost: gw.example\r\nContent-Length: " + fmt.Sprint(len(smuggled)) + "\r\n\r\n" + smuggled,
		"chunked": "POST /orders/ HTTP/1.1\r\nHost: gw.example\r\nTransfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(smuggled), smuggled),
		"large":   "POST /orders/ HTTP/1.1\r\nHost: gw.example\r\nContent-Length: 600000\r\n\r\n" + strings.Repeat(smuggled, 600000/len(smuggled)),
	} {
		all := w.SendAll(t, raw)
		if len(all) != 1 || all[0].Status != 401 {
			t.Errorf("%s: %d answers: %v", name, len(all), all)
		}
		w.up.Nothing(t)
	}
	c := w.Dial(t)
	_, _ = io.WriteString(c, "POST /orders/ HTTP/1.1\r\nHost: gw.example\r\nContent-Length: 4\r\n\r\nbody"+rig.Get("/open/second"))
	for _, want := range []int{401, 200} {
		if a, err := c.Read("POST"); err != nil || a.Status != want {
			t.Errorf("a request behind a refused one: %d %v, want %d", a.Status, err, want)
		}
	}
}

// What one client's broken exchange leaves behind is never another's answer.
func TestS11BrokenExchanges(t *testing.T) {
	t.Parallel()
	w := own(t, nil)
	w.up.Handle(t, func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/open/short" {
			rw.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(rw, "HTTP/1.1 200 OK\r\n\r\n")
			return // net/http ends the connection: the body is short
		}
		_, _ = io.WriteString(rw, r.URL.Path)
	})
	for i := range 50 {
		c := w.Dial(t)
		_, _ = io.WriteString(c, openPost+"Content-Length: 10\r\n\r\nabc")
		_ = c.Close()
		broken := w.Dial(t)
		_, _ = io.WriteString(broken, rig.Get("/open/short"))
		if a, err := broken.Read("GET"); err == nil {
			t.Errorf("half an answer came as a whole one: %d %q", a.Status, a.Body)
		}
		path := fmt.Sprintf("/open/%d", i)
		if a := w.Send(t, rig.Get(path)); a.Status != 200 || a.Body != path {
			t.Fatalf("%d %q, want %s", a.Status, a.Body, path)
		}
	}
}
