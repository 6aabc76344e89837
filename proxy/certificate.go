package proxy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"sync/atomic"
	"time"

	"gatehouse/auth"
	"gatehouse/proxy/wire"
)

// connection is what is remembered of a client's connection.
type connection struct{ seen atomic.Pointer[verified] }

// verified is a client's certificate as some authorities see it.
type verified struct {
	by          *x509.CertPool
	certificate *auth.Certificate
	until       time.Time // when the first certificate of the chain expires
}

type connectionKey struct{}

// ConnContext is meant for http.Server.ConnContext; it takes in that of package
// wire.
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(wire.ConnContext(ctx, c), connectionKey{}, &connection{})
}

// clientCertificate returns the certificate that the connection was opened with,
// nil when there is none or none is asked for. It is CertificateForbidden when
// the configuration asks for another: connections outlive reloads and
// certificates, so that the handshake's word is not enough. It is verified once
// more for each connection and configuration.
func (x *Exchange) clientCertificate(s *State, now time.Time) (*auth.Certificate, auth.Reason) {
	shown := x.in.TLS
	switch {
	case shown == nil || s.clientCAs == nil:
		return nil, auth.OK
	case len(shown.PeerCertificates) == 0 && s.clientCertOptional:
		return nil, auth.OK
	case len(shown.PeerCertificates) == 0:
		return nil, auth.CertificateForbidden
	}
	conn, _ := x.in.Context().Value(connectionKey{}).(*connection)
	if conn == nil {
		conn = &connection{}
	}
	if v := conn.seen.Load(); v != nil && v.by == s.clientCAs && now.Before(v.until) {
		return v.certificate, auth.OK
	}
	v := verify(shown, s.clientCAs, now)
	if v == nil {
		return nil, auth.CertificateForbidden
	}
	conn.seen.Store(v)
	return v.certificate, auth.OK
}

// verify does what crypto/tls does in the handshake. It returns nil when the
// certificate is not good.
func verify(shown *tls.ConnectionState, cas *x509.CertPool, now time.Time) *verified {
	leaf, between := shown.PeerCertificates[0], x509.NewCertPool()
	for _, c := range shown.PeerCertificates[1:] {
		between.AddCert(c)
	}
	chains, err := leaf.Verify(x509.VerifyOptions{
		Roots: cas, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return nil
	}
	v := &verified{by: cas, certificate: auth.NewCertificate(leaf), until: leaf.NotAfter}
	for _, c := range chains[0] {
		if c.NotAfter.Before(v.until) {
			v.until = c.NotAfter
		}
	}
	return v
}
