package proxy

import (
	"strings"
	"testing"
)

func TestTreatmentOfNames(t *testing.T) {
	longest := "X-" + strings.Repeat("a", maxName-1)
	n, err := newNames([]string{"X-User-Id", longest})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]treatment{
		"X-User-Id": dropFromRequest | dropFromResponse, "xuserid": dropFromRequest | dropFromResponse,
		"X_USER.ID-": dropFromRequest | dropFromResponse, "X-User-I": 0, "X-User-Id2": 0, "Xuser": 0, "": 0, "-": 0,
		longest: dropFromRequest | dropFromResponse, longest + "-": dropFromRequest | dropFromResponse,
		longest + "a": 0, longest + "0": 0, // the head of it is ours, but the name is not
		"Authorization": dropUnlessKept | dropFromResponse, "Forwarded": dropUnlessTrusted,
		"Proxy": dropUnlessTrusted, "Prox": 0, "X-Forwarded-Whatever": dropUnlessTrusted, "X-Forwarde": 0,
		"Connection": dropFromRequest, "Accept": 0,
	} {
		if got := n.of(name); got != want {
			t.Errorf("%s: %b, want %b", name, got, want)
		}
	}
	for list, want := range map[string]treatment{
		"Connection Proxy-Connection Keep-Alive Te Trailer Transfer-Encoding Upgrade Http2-Settings Proxy-Authenticate Proxy-Authorization Expect": dropFromRequest,
		"X-Forwarded-For X-Forwarded-Host X-Forwarded-Proto": dropFromRequest,
		"X-Request-Id": dropFromRequest | dropFromResponse,
		"Forwarded X-Real-Ip X-Original-Url X-Original-Uri X-Original-Host X-Original-Method X-Rewrite-Url " +
			"X-Http-Method-Override X-Http-Method X-Method-Override": dropUnlessTrusted,
	} {
		for name := range strings.FieldsSeq(list) {
			if got := n.of(name); got != want {
				t.Errorf("%s: %b, want %b", name, got, want)
			}
		}
	}
}

func TestFold(t *testing.T) {
	for name, want := range map[string]string{"AZaz09": "azaz09", "A-Z_a.z~0 9": "azaz09", "@[`{/:": "", "é": ""} {
		var buf [maxName]byte
		if got, ok := fold(&buf, name); !ok || string(got) != want {
			t.Errorf("%q: %q, %t", name, got, ok)
		}
	}
}

func TestNamesThatCannotBeOurs(t *testing.T) {
	for _, name := range []string{"", "-", "_._", strings.Repeat("a", maxName+1)} {
		if _, err := newNames([]string{name}); err == nil || !strings.Contains(err.Error(), "1 to 63 letters and digits") {
			t.Errorf("%q: %v", name, err)
		}
	}
}
