package auth

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"net/url"
	"strings"
	"testing"
	"time"
)

// clientCertificate is one that the test made, with its attributes in that
// order.
func clientCertificate(t *testing.T, uri string, dns []string, subject ...pkix.AttributeTypeAndValue) *Certificate {
	t.Helper()
	var sequence pkix.RDNSequence
	for _, a := range subject {
		sequence = append(sequence, pkix.RelativeDistinguishedNameSET{a})
	}
	raw, err := asn1.Marshal(sequence)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), RawSubject: raw, DNSNames: dns, NotAfter: time.Now().Add(time.Hour)}
	if uri != "" {
		u, err := url.Parse(uri)
		if err != nil {
			t.Fatal(err)
		}
		template.URIs = []*url.URL{u}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return NewCertificate(parsed)
}

func attribute(kind int, value string) pkix.AttributeTypeAndValue {
	return pkix.AttributeTypeAndValue{Type: asn1.ObjectIdentifier{2, 5, 4, kind}, Value: value}
}

// Attributes by their number in 2.5.4 (RFC 4519).
const (
	commonName   = 3
	locality     = 7
	organisation = 10
	unit         = 11
)

// The subject reads as openssl's RFC2253 form has it, in the certificate's own
// order.
func TestCertificateSubject(t *testing.T) {
	for want, subject := range map[string][]pkix.AttributeTypeAndValue{
		"CN=orders,O=acme":     {attribute(organisation, "acme"), attribute(commonName, "orders")},
		"O=acme,CN=orders":     {attribute(commonName, "orders"), attribute(organisation, "acme")},
		"CN=a,OU=b,L=c,O=acme": {attribute(organisation, "acme"), attribute(locality, "c"), attribute(unit, "b"), attribute(commonName, "a")},
		`CN=orders\,O=acme`:    {attribute(commonName, "orders,O=acme")},
		"CN=Jürgen":            {attribute(commonName, "Jürgen")},
		"":                     {},
	} {
		if got := clientCertificate(t, "", nil, subject...).Subject; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// A subject that cannot be read, or not all of it, is none.
func TestCertificateSubjectUnreadable(t *testing.T) {
	raw, err := asn1.Marshal(pkix.RDNSequence{{attribute(commonName, "orders")}})
	if err != nil {
		t.Fatal(err)
	}
	for _, raw := range [][]byte{nil, raw[:len(raw)-1], append(raw, 5, 0)} {
		if got := NewCertificate(&x509.Certificate{RawSubject: raw}).Subject; got != "" {
			t.Errorf("%x is %q", raw, got)
		}
	}
}

func TestCertificateRules(t *testing.T) {
	f := newFixture(t, "HS256")
	acme := clientCertificate(t, "spiffe://acme/orders", []string{"orders.internal", "b"}, attribute(organisation, "acme"), attribute(commonName, "orders"))
	bare := clientCertificate(t, "", nil)
	for _, test := range []struct {
		name  string
		rules []CertificateRule
		cert  *Certificate
		want  Reason
	}{
		{"nothing asked, nothing shown", nil, nil, OK},
		{"nothing asked", nil, acme, OK},
		{"any", []CertificateRule{{}}, bare, OK},
		{"any, none shown", []CertificateRule{{}}, nil, CertificateForbidden},
		{"subject", []CertificateRule{{Subject: "CN=orders,O=acme"}}, acme, OK},
		{"part of a subject", []CertificateRule{{Subject: "CN=orders"}}, acme, CertificateForbidden},
		{"subject in another case", []CertificateRule{{Subject: "CN=Orders,O=acme"}}, acme, CertificateForbidden},
		{"uri", []CertificateRule{{URI: "spiffe://acme/orders"}}, acme, OK},
		{"beginning of a uri", []CertificateRule{{URI: "spiffe://acme/"}}, acme, CertificateForbidden},
		{"dns", []CertificateRule{{DNSName: "Orders.internal"}}, acme, OK},
		{"another dns name", []CertificateRule{{DNSName: "internal"}}, acme, CertificateForbidden},
		{"all of one rule", []CertificateRule{{Subject: "CN=orders,O=acme", DNSName: "b", URI: "spiffe://acme/orders"}}, acme, OK},
		{"not all of one rule", []CertificateRule{{Subject: "CN=orders,O=acme", DNSName: "c"}}, acme, CertificateForbidden},
		{"one of two rules", []CertificateRule{{DNSName: "c"}, {DNSName: "b"}}, acme, OK},
		{"says nothing", []CertificateRule{{Subject: "CN=orders,O=acme"}}, bare, CertificateForbidden},
	} {
		for _, mode := range []Mode{BearerOnly, None} {
			p := *f.policy
			p.Mode, p.Certificates = mode, test.rules
			c := bearer(f.token(nil)).WithCertificate(test.cert)
			if d := f.gate.Decide(&p, c, now); d.Reason != test.want {
				t.Errorf("%s, %s: %s, want %s", test.name, mode, d.Reason, test.want)
			}
			d, steps := f.gate.Explain(t.Context(), &p, c, now)
			if got := step(steps, "client certificate"); d.Reason != test.want || len(test.rules) > 0 && got.Result != test.want.String() {
				t.Errorf("%s, %s: explained %s, %+v", test.name, mode, d.Reason, steps)
			}
		}
	}
	for cert, want := range map[*Certificate]string{nil: "none presented", acme: "subject CN=orders,O=acme"} {
		_, steps := f.gate.Explain(t.Context(), f.policy, bearer(f.token(nil)).WithCertificate(cert), now)
		if got := step(steps, "client certificate").Detail; got != want {
			t.Errorf("explained as %q, want %q", got, want)
		}
	}
	// A certificate is no credential: the route's own are asked for first.
	p := *f.policy
	p.Mode, p.Certificates = BearerOnly, []CertificateRule{{}}
	if d := f.gate.Decide(&p, Credentials{}.WithCertificate(acme), now); d.Reason != TokenMissing {
		t.Errorf("%s", d.Reason)
	}
}

func TestCertificateForwarded(t *testing.T) {
	f := newFixture(t, "HS256")
	for _, mode := range []Mode{BearerOnly, None} {
		for subject, want := range map[string]string{
			"orders": "CN=orders", "Jürgen 100%": "CN=J%C3%BCrgen 100%25", "a\nX-User-Id: root": "forbidden", strings.Repeat("x", 2000): "forbidden", "": "",
			strings.Repeat("x", maxHeaderValue-3): "CN=" + strings.Repeat("x", maxHeaderValue-3), strings.Repeat("x", maxHeaderValue-2): "forbidden",
		} {
			p := *f.policy
			p.Mode, p.Forward = mode, &Forward{CertificateHeader: "X-Cert"}
			c := bearer(f.token(nil))
			if subject != "" {
				c = c.WithCertificate(clientCertificate(t, "", nil, attribute(commonName, subject)))
			}
			d := f.gate.Decide(&p, c, now)
			got := ""
			for _, h := range d.Headers {
				got += h.Value[0]
			}
			if d.Reason == CertificateForbidden {
				got = "forbidden"
			}
			p.Forward = &Forward{}
			if d := f.gate.Decide(&p, c, now); d.Reason != OK || len(d.Headers) > 0 {
				t.Errorf("%s %.20q: %s, %v where it is not forwarded", mode, subject, d.Reason, d.Headers)
			}
			if got != want || d.Reason != OK && want != "forbidden" {
				t.Errorf("%s %.20q: %s %q, want %q", mode, subject, d.Reason, got, want)
			}
		}
	}
}
