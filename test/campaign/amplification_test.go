package campaign

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"testing"
)

// amplification is how many times a stranger's request of 8 KiB may cost what a
// good one does.
const amplification = 10

const size = 8 << 10

// costly are requests of strangers, of 8 KiB where that is not refused at once,
// that try to have much done for them.
func (w *world) costly() map[string]string {
	const letters = 4000
	forged := func(s [3]string, named bool) string {
		header := decode(s[0])
		if !named {
			delete(header, "kid") // each key of the algorithm may have signed it
		}
		more := claims(1)
		more["filler"] = strings.Repeat("x", max(0, letters*3/4-len(s[0])-len(s[2])-300))
		return request(keyLine, bearer(encode(header)+"."+encode(more)+"."+s[2]), "X-Filler: "+strings.Repeat("f", size-letters))
	}
	path := func(target string) string { return "GET " + target + " HTTP/1.1\r\nHost: gw.example\r\n\r\n" }
	lines := make([]string, 98)
	for i := range lines {
		lines[i] = fmt.Sprintf("X-Line-%d: %s", i, strings.Repeat("v", size/len(lines)-14))
	}
	all := map[string]string{
		"token of 8 KiB":            request(keyLine, bearer(strings.Repeat("eyJhbGciOi", size/10))),
		"token of dots":             request(keyLine, bearer(strings.Repeat(".", size))),
		"token without an end":      request(keyLine, bearer("eyJhbGciOiJSUzI1NiJ9."+strings.Repeat("A", 4000))),
		"token with a deep header":  request(keyLine, bearer(encode(map[string]any{"alg": "HS256", "kid": "hs", "x": strings.Repeat("[", 600)})+".e30.AAAA")),
		"API key of 8 KiB":          request("Api-Key: " + strings.Repeat("k", size)),
		"98 header lines":           request(lines...),
		"8 KiB of short lines":      request(strings.Split(strings.Repeat("A: b\r\n", size/6)+"A: b", "\r\n")...),
		"cookies":                   request("Cookie: " + strings.Repeat("a=b; ", size/5) + "a=b"),
		"X-Forwarded-For":           request("X-Forwarded-For: " + strings.Repeat("10.0.0.1, ", size/10) + "10.0.0.1"),
		"Connection":                request("Connection: " + strings.Repeat("x, ", size/3) + "x"),
		"path of 8 KiB":             path("/" + strings.Repeat("p/", size/2) + "p"),
		"path of escapes":           path("/" + strings.Repeat("%41", size/3)),
		"path of escapes that stay": path("/" + strings.Repeat("%c3%a4", size/6)),
		"path of dots":              path("/" + strings.Repeat("a/../", size/5)),
		"query of parameters":       path("/?" + strings.Repeat("a=b&", size/4-1)),
		"body in chunks of a byte":  "POST /orders/1 HTTP/1.1\r\nHost: gw.example\r\nTransfer-Encoding: chunked\r\n\r\n" + strings.Repeat("1\r\nx\r\n", size/6) + "0\r\n\r\n",
		"chunk extensions":          "POST /orders/1 HTTP/1.1\r\nHost: gw.example\r\nTransfer-Encoding: chunked\r\n\r\n1;" + strings.Repeat("e", size/2) + "\r\nx\r\n0\r\n\r\n",
		"no request":                strings.Repeat("\x16\x03", size/2) + "\r\n\r\n",
	}
	tokens := append(w.tokens, rsaForm("RS384", "rs4096", 4096), rsaForm("RS512", "rs8192", 8192))
	for _, s := range tokens { // of each key the last
		header := decode(s[0])
		all[fmt.Sprintf("forged %s", header["kid"])] = forged(s, true)
		all[fmt.Sprintf("forged %s, no kid", header["kid"])] = forged(s, false)
	}
	return all
}

// rsaForm has the form of a token of such a key.
func rsaForm(algorithm, kid string, bits int) [3]string {
	signature := bytes.Repeat([]byte{0x55}, bits/8) // less than any modulus of so many bits
	return [3]string{encode(map[string]any{"alg": algorithm, "kid": kid}), "", base64.RawURLEncoding.EncodeToString(signature)}
}

// normal is a request as they mostly are: of 1 KiB, with good credentials.
func (w *world) normal() string {
	return request(append(w.good(0), "User-Agent: "+strings.Repeat("u", 400), "Accept: application/json", "Accept-Encoding: gzip, br")...)
}

// counters are what the process has used so far.
type counters struct{ cpu, bytes float64 }

func (w *world) counters(t testing.TB) (c counters) {
	t.Helper()
	for line := range strings.Lines(w.AdminCall(t, "GET", "/metrics", "").Body) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch n, _ := strconv.ParseFloat(value, 64); name {
		case "process_cpu_seconds_total":
			c.cpu = n
		case "go_memstats_alloc_bytes_total":
			c.bytes = n
		}
	}
	if c.bytes == 0 || c.cpu == 0 {
		t.Fatal("there are no metrics of the process")
	}
	return c
}

// cost is what the work used, for each of its n requests.
func (w *world) cost(t testing.TB, n int, work func()) counters {
	t.Helper()
	first := w.counters(t)
	before := w.counters(t) // the difference is what asking costs
	work()
	after := w.counters(t)
	return counters{(after.cpu - before.cpu) / float64(n), (after.bytes - before.bytes - (before.bytes - first.bytes)) / float64(n)}
}

func repeated(request string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = request
	}
	return all
}

// Requests go one at a time here: what comes behind one that ends its connection is
// read for nothing, and is no part of its cost.

// A stranger's request makes the gateway allocate at most ten times what a good
// one does. What it costs in time is in the benchmark: a busy machine must not
// fail a build.
func TestJ26D02D08Amplification(t *testing.T) {
	w := start(t)
	const n = 640
	w.statuses(t, repeated(w.normal(), n), 1) // connections, buffers and caches are there
	normal := w.cost(t, n, func() { w.statuses(t, repeated(w.normal(), n), 1) })
	for name, request := range w.costly() {
		got := w.cost(t, n, func() {
			for i, status := range w.statuses(t, repeated(request, n), 1) {
				if status < 400 || status >= 500 {
					t.Fatalf("%s: request %d is answered %d", name, i, status)
				}
			}
		})
		ratio := got.bytes / normal.bytes
		t.Logf("%5.1f %s", ratio, name)
		if ratio > amplification {
			t.Errorf("%s: %.0f bytes are allocated, %.1f times what a good request needs (%.0f)", name, got.bytes, ratio, normal.bytes)
		}
	}
}

// BenchmarkAmplification tells what strangers' requests cost in processor time
// and in bytes allocated, in units of a good request. The built program is
// measured, by its own metrics.
func BenchmarkAmplification(b *testing.B) {
	w := start(b)
	w.statuses(b, repeated(w.normal(), 10*batch), 1)
	const n = 200 * batch
	normal := w.cost(b, n, func() { w.statuses(b, repeated(w.normal(), n), 1) })
	b.Logf("a good request: %.1f us of processor time, %.0f bytes", normal.cpu*1e6, normal.bytes)
	for name, request := range w.costly() {
		b.Run(name, func(b *testing.B) {
			var total int
			got := w.cost(b, 1, func() {
				for b.Loop() {
					w.statuses(b, repeated(request, batch), 1)
					total += batch
				}
			})
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(got.cpu/float64(total)*1e6, "cpu-us/request")
			b.ReportMetric(got.cpu/float64(total)/normal.cpu, "cpu-ratio")
			b.ReportMetric(got.bytes/float64(total)/normal.bytes, "bytes-ratio")
		})
	}
}
