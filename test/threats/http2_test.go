package threats

import (
	"encoding/binary"
	"io"
	"strings"
	"testing"

	"gatehouse/test/rig"
)

// HTTP/2 in the raw, as far as requests without a body need it (RFC 9113):
// clients refuse to send what is sent here.

type field struct{ name, value string }

// hpack writes fields as literals that are not indexed (RFC 7541 §6.2.2).
func hpack(fields []field) []byte {
	var b []byte
	for _, f := range fields {
		b = append(b, 0)
		for _, s := range []string{f.name, f.value} {
			if len(s) < 127 {
				b = append(b, byte(len(s)))
			} else {
				b = append(b, 127)
				rest := len(s) - 127
				for ; rest >= 128; rest >>= 7 {
					b = append(b, byte(rest)|128)
				}
				b = append(b, byte(rest))
			}
			b = append(b, s...)
		}
	}
	return b
}

func frame(kind, flags byte, stream uint32, payload []byte) []byte {
	b := []byte{byte(len(payload) >> 16), byte(len(payload) >> 8), byte(len(payload)), kind, flags}
	return append(binary.BigEndian.AppendUint32(b, stream), payload...)
}

// ask sends one request over HTTP/2. The status is that of the answer, 0 when
// the stream or the connection was reset.
func ask(t *testing.T, w *world, fields []field) (status string) {
	t.Helper()
	c := w.DialTLS(t, "h2")
	defer c.Close()
	_, _ = io.WriteString(c, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
	_, _ = c.Write(frame(4, 0, 0, nil))
	_, _ = c.Write(frame(1, 0x5, 1, hpack(fields))) // END_STREAM, END_HEADERS
	head := make([]byte, 9)
	for {
		if _, err := io.ReadFull(c.Buffered(), head); err != nil {
			return "reset"
		}
		body := make([]byte, int(head[0])<<16|int(head[1])<<8|int(head[2]))
		if _, err := io.ReadFull(c.Buffered(), body); err != nil {
			return "reset"
		}
		switch head[3] {
		case 1: // HEADERS: the first field is :status
			return statusOf(body)
		case 3: // RST_STREAM
			return "reset"
		}
	}
}

// statusOf reads :status, which comes first: of the static table, or a literal
// with its name (RFC 7541 Appendix A).
func statusOf(block []byte) string {
	for len(block) > 0 && block[0]&0xe0 == 0x20 { // a change of the table's size
		block = block[1:]
	}
	static := map[byte]string{0x88: "200", 0x89: "204", 0x8a: "206", 0x8b: "304", 0x8c: "400", 0x8d: "404", 0x8e: "500"}
	if s, ok := static[block[0]]; ok {
		return s
	}
	// 0x48: literal with the name at index 8; the value Huffman-coded digits
	// (RFC 7541 Appendix B): 0 to 2 have five bits, 3 to 9 six.
	codes := map[string]string{"00000": "0", "00001": "1", "00010": "2", "011001": "3", "011010": "4", "011011": "5", "011100": "6", "011101": "7", "011110": "8", "011111": "9"}
	n := int(block[1] & 0x7f)
	if block[1]&0x80 == 0 {
		return string(block[2 : 2+n])
	}
	var bits, out strings.Builder
	for _, b := range block[2 : 2+n] {
		for i := 7; i >= 0; i-- {
			bits.WriteByte('0' + b>>i&1)
		}
	}
	for rest := bits.String(); ; {
		switch {
		case len(rest) >= 5 && codes[rest[:5]] != "":
			out.WriteString(codes[rest[:5]])
			rest = rest[5:]
		case len(rest) >= 6 && codes[rest[:6]] != "":
			out.WriteString(codes[rest[:6]])
			rest = rest[6:]
		default:
			return out.String()
		}
	}
}

func secured(c *rig.Config) {
	key := rig.KeyPairs()["P-256"]
	c.Files["cert.pem"], c.Files["key.pem"] = rig.CertificatePEM(key), rig.PrivatePEM(key)
	replace("drain_timeout: 5s", "drain_timeout: 5s, tls: {cert_file: cert.pem, key_file: key.pem}")(c)
}

// The rules are the same over TLS and HTTP/2, whichever name the client asks
// for.
func TestP18P19H03HTTP2(t *testing.T) {
	t.Parallel()
	w := own(t, secured)
	request := func(path string, more ...field) []field {
		return append([]field{{":method", "GET"}, {":scheme", "https"}, {":authority", "gw.example"}, {":path", path}}, more...)
	}
	key, tok := field{"api-key", apiKey}, field{"authorization", "Bearer " + token(t, nil)}
	for _, row := range []struct {
		name   string
		fields []field
		want   string
	}{
		{"good", request("/orders/", key, tok), "200"},
		{"no credentials", request("/orders/"), "401"},
		{"no route", request("/nothing"), "404"},
		{"path without slash", request("orders/"), "400 reset"},
		{"path *", request("*"), "400 405 reset"},
		{"absolute path", request("https://gw.example/open/"), "400 reset"},
		{"absolute path of another host", request("https://tenant.example/hosted/"), "400 reset"},
		{"dot segments", request("/open/../admin/"), "400"},
		{"encoded dots", request("/open/%2e%2e/admin/"), "400"},
		{"double slash", request("//open/"), "400"},
		{"fragment", request("/open/#x"), "400 reset"},
		{"host against authority", request("/open/", field{"host", "tenant.example"}), "400 reset"},
		{"underscore", request("/open/", field{"x_user_id", "root"}), "400"},
		{"dot in a name", request("/open/", field{"x.user.id", "root"}), "400"},
		{"two tokens", request("/orders/", key, tok, tok), "401"},
		{"two keys", request("/orders/", key, key, tok), "401"},
		{"connection header", request("/open/", field{"connection", "x-user-id"}), "400 reset"},
		{"transfer-encoding", request("/open/", field{"transfer-encoding", "chunked"}), "400 reset"},
		{"upper case name", request("/open/", field{"X-User-Id", "root"}), "400 reset"},
		{"line end in a value", request("/open/", field{"x-a", "b\r\nX-User-Id: root"}), "400 reset"},
		{"CONNECT", []field{{":method", "CONNECT"}, {":authority", "gw.example:443"}}, "405 400 reset"},
		{"extended CONNECT", append(request("/ws/", tok), field{":protocol", "websocket"}), "400 405 reset"},
		{"unknown method", append([]field{{":method", "PROPFIND"}}, request("/open/")[1:]...), "405"},
		{"lower-case method", append([]field{{":method", "get"}}, request("/open/")[1:]...), "405"},
		{"long query", request("/open/?" + strings.Repeat("a", 9000)), "414"},
	} {
		got := ask(t, w, row.fields)
		if !strings.Contains(row.want, got) || got == "" {
			t.Errorf("%s: %s, want %s", row.name, got, row.want)
		}
		if seen := w.up.Take(); (len(seen) > 0) != (row.want == "200") {
			t.Errorf("%s: the upstream received %d requests", row.name, len(seen))
		}
	}
	if got := ask(t, w, request("/open/", field{"x-user-id", "root"}, field{"x-forwarded-for", "root"}, field{"x-user--id", "root"})); got != "200" {
		t.Fatalf("identity: %s", got)
	}
	for name, values := range w.up.Last(t).Header {
		if strings.Contains(strings.Join(values, ""), "root") {
			t.Errorf("over HTTP/2 the upstream got %s: %q", name, values)
		}
	}
	c := w.DialTLS(t, "http/1.1")
	_, _ = io.WriteString(c, rig.Get("/orders/"))
	if a, err := c.Read("GET"); err != nil || a.Status != 401 {
		t.Errorf("HTTP/1.1 over TLS: %d %v", a.Status, err)
	}
	plain := w.Dial(t)
	_, _ = io.WriteString(plain, rig.Get("/open/"))
	if a, err := plain.Read("GET"); err == nil && a.Status != 400 {
		t.Errorf("HTTP without TLS: %d", a.Status)
	}
	w.up.Nothing(t)
}
