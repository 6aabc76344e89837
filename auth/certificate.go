package auth

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"slices"
	"strings"
)

// Certificate is what a client's certificate says, after the connection that
// it came on has shown that the client holds its key and that somebody who is
// trusted has signed it.
type Certificate struct {
	Subject  string // RFC 4514, in the order of the certificate
	URIs     []string
	DNSNames []string

	value    string // the subject as a header
	sendable bool   // it can be one
}

// NewCertificate reads a certificate. A subject that cannot be read is empty,
// and meets no rule that names one.
func NewCertificate(c *x509.Certificate) *Certificate {
	n := &Certificate{DNSNames: c.DNSNames}
	// Not c.Subject.String, which puts the attributes into an order of its own.
	var subject pkix.RDNSequence
	if rest, err := asn1.Unmarshal(c.RawSubject, &subject); err == nil && len(rest) == 0 {
		n.Subject = subject.String()
	}
	for _, u := range c.URIs {
		n.URIs = append(n.URIs, u.String())
	}
	n.value, n.sendable = encodeHeader(n.Subject)
	n.sendable = n.sendable && len(n.value) <= maxHeaderValue
	return n
}

// CertificateRule is met by a certificate that has all of what the rule says;
// one that says nothing, by any certificate.
type CertificateRule struct {
	Subject string
	URI     string
	DNSName string
}

func (r *CertificateRule) met(c *Certificate) bool {
	return (r.Subject == "" || r.Subject == c.Subject) &&
		(r.URI == "" || slices.Contains(c.URIs, r.URI)) &&
		(r.DNSName == "" || slices.ContainsFunc(c.DNSNames, func(n string) bool { return strings.EqualFold(n, r.DNSName) }))
}

// WithCertificate returns the credentials with the certificate that the
// connection was opened with; nil: none.
func (c Credentials) WithCertificate(cert *Certificate) Credentials {
	c.certificate = cert
	return c
}

func (a *attempt) checkCertificate() Reason {
	cert := a.creds.certificate
	if f := a.policy.Forward; f != nil && f.CertificateHeader != "" && cert != nil && !cert.sendable {
		return CertificateForbidden // to send nothing, or another name, could make the caller someone else
	}
	if len(a.policy.Certificates) == 0 {
		return Undecided
	}
	for i := range a.policy.Certificates {
		if cert != nil && a.policy.Certificates[i].met(cert) {
			return OK
		}
	}
	return CertificateForbidden
}

func (a *attempt) describeCertificate() string {
	if c := a.creds.certificate; c != nil {
		return "subject " + c.Subject
	}
	return "none presented"
}
