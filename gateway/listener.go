package gateway

import (
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"net"

	"gatehouse/config"
)

// tls returns the data listener's TLS configuration, nil without a certificate.
func (b *builder) tls() *tls.Config {
	files := b.cfg.Server.TLS
	if files.CertFile == "" || b.faulty("server.tls") {
		return nil
	}
	cert, err := keyPair(files.CertFile, files.KeyFile)
	if err != nil {
		b.fault("server.tls.cert_file", err)
		return nil
	}
	// Clients without TLS 1.2 have been out of support for a decade. Of the
	// cipher suites crypto/tls knows better than we do.
	t := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2", "http/1.1"}}
	if files.ClientCAFile != "" {
		if t.ClientCAs, err = authorities(files.ClientCAFile); err != nil {
			b.fault("server.tls.client_ca_file", err)
			return nil
		}
		t.ClientAuth = tls.RequireAndVerifyClientCert
		if files.ClientAuth == "optional" {
			t.ClientAuth = tls.VerifyClientCertIfGiven
		}
	}
	return t
}

// adminToken returns the hash of the admin API's token, zero when there is none.
func (b *builder) adminToken() [32]byte {
	var none [32]byte
	token, field, err := reveal(".token", b.cfg.Admin.Token, b.cfg.Admin.TokenFile)
	switch {
	case err != nil:
		b.fault("admin"+field, err)
		return none
	case token == "" && b.cfg.Admin.TokenFile == "":
		return none
	case len(token) < minAdminToken:
		b.fault("admin"+field, fmt.Errorf("the token has %d bytes, which can be guessed: openssl rand -hex 16 prints a good one", len(token)))
		return none
	case len(token) < goodAdminToken:
		b.warnings = append(b.warnings, b.cfg.Problem("admin"+field, "the token is short: openssl rand -hex 16 prints a good one").Error())
	}
	return sha256.Sum256([]byte(token))
}

// A random token of 128 bits has 22 bytes in base64 and 32 in hex. A shorter one
// was likely made up by somebody, and under 8 bytes it can be found by trying.
const (
	minAdminToken  = 8
	goodAdminToken = 22
)

// listen binds the two addresses. What fails is told with the key of the
// address.
func listen(cfg *config.Config) (data, admin net.Listener, err error) {
	var problems config.Problems
	bind := func(path, address string) net.Listener {
		l, err := net.Listen("tcp", address)
		if err != nil {
			problems = append(problems, cfg.Problem(path, "cannot listen: %v", err))
		}
		return l
	}
	data, admin = bind("server.listen", cfg.Server.Listen), bind("admin.listen", cfg.Admin.Listen)
	if len(problems) == 0 {
		return data, admin, nil
	}
	for _, l := range []net.Listener{data, admin} {
		if l != nil {
			_ = l.Close()
		}
	}
	return nil, nil, problems
}
