package keyset

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
)

// FuzzParseRing: a ring that is not whole is an error, never a ring with fewer
// keys.
func FuzzParseRing(f *testing.F) {
	for _, algorithm := range []string{"HS256", "EdDSA", "ES256"} {
		record, err := newRingRecord(algorithm)
		if err != nil {
			f.Fatal(err)
		}
		text, err := json.Marshal(ringDocument{ringRecords{record}})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
		f.Add(text[:len(text)-3])
	}
	for _, text := range []string{`{}`, `{"keys":[]}`, `{"keys":[{}]}`, `{"keys":[{"kid":"a","alg":"HS256","private":"YQ=="}]}`, `{"keys":null,"more":1}`, `null`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		records, err := parseRing(text)
		if err != nil {
			return
		}
		if len(records) == 0 {
			t.Fatal("a ring without a key")
		}
		for _, r := range records {
			if r.key == nil || r.key.Algorithm != r.Algorithm {
				t.Fatalf("%q became a ring with %+v", text, r)
			}
		}
	})
}

// FuzzMetadataURLs: the metadata of an issuer are asked of its own host (Q01).
func FuzzMetadataURLs(f *testing.F) {
	for _, issuer := range []string{
		"https://auth.example.com", "https://auth.example.com/", "https://auth.example.com:8443/realms/a%2Fb", "http://127.0.0.1:1", "http://auth.example.com", "https://u:p@h", "https://h?x", "https://h#x", "https://h/../x",
		"https://h\\@evil", "https://[::1]", "//h", "",
	} {
		f.Add(issuer)
	}
	f.Fuzz(func(t *testing.T, issuer string) {
		addresses, err := metadataURLs(issuer)
		if err != nil {
			return
		}
		asked, err := url.Parse(issuer)
		if err != nil {
			t.Fatal(err)
		}
		for _, address := range addresses {
			u, err := url.Parse(address)
			if err != nil || u.Host != asked.Host || u.Scheme != asked.Scheme || u.User != nil || u.RawQuery != "" || !strings.Contains(u.Path, "/.well-known/") {
				t.Fatalf("%q is asked at %q (%v)", issuer, address, err)
			}
		}
	})
}
