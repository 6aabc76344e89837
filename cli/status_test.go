package cli

import (
	"strings"
	"testing"
	"time"

	"gatehouse/admin"
)

func TestPrintStatus(t *testing.T) {
	p, out, _ := newProgram("")
	p.printStatus(admin.Status{
		Version: "v1", Commit: "c", Go: "go1", Started: p.now().Add(-time.Minute),
		Parts:       []admin.Part{{Name: "keys", State: admin.StateFailing, Detail: "why"}},
		Config:      admin.ConfigStatus{File: "gateway.yaml", LoadedAt: p.now(), Error: "one\ntwo"},
		Revocations: admin.RevocationsStatus{Entries: map[string]int{"sub": 2, "jti": 1}, AgeSeconds: 7.25, Stale: true, FilterBits: 786432 * 8},
		Issuers: []admin.IssuerStatus{
			{Name: "a", KeyIDs: []string{"k1", ""}, Signer: "k1", Ready: true},
			{Name: "b", KeyIDs: []string{}},
			{Name: "c", KeyIDs: []string{"k"}, Ready: true},
			{Name: "d", Introspection: true, Ready: true},
			{Name: "e", Introspection: true},
		},
	})
	for _, want := range []string{
		"gatehouse v1 (c, go1), up 1m0s, NOT ready\n",
		"  failing  keys  why\n",
		"config       gateway.yaml, loaded 2026-01-31T12:00:00Z\n             not accepted: one\n             not accepted: two\n",
		"revocations  1 jti, 2 sub; 7.2 s old, STALE; behind a filter of 768 KiB\n",
		"issuer       a: keys k1, (no kid); signs with k1\n",
		"issuer       c: keys k\n",
		"issuer       b: its keys CANNOT BE HAD\n",
		"issuer       d: asked about its tokens\n",
		"issuer       e: asked about its tokens, DOES NOT ANSWER\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	p.printStatus(admin.Status{Ready: true, Revocations: admin.RevocationsStatus{AgeSeconds: -1, Stale: true}})
	for _, want := range []string{", ready\n", "NOT READ yet\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}
