package storetest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"gatehouse/test/loopback"
)

// Authority signs one certificate, which servers and clients of a test show to
// each other. It is for redis.test and, unless it is for the name alone, for
// loopback.
type Authority struct {
	CAFile, CertFile, KeyFile string
}

// NewAuthority makes an authority and its certificate; both end with the test.
func NewAuthority(t testing.TB, nameAlone bool) Authority {
	t.Helper()
	dir := t.TempDir()
	a := Authority{filepath.Join(dir, "ca.pem"), filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")}
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "redis.test"}, NotAfter: ca.NotAfter, DNSNames: []string{"redis.test"},
	}
	if !nameAlone {
		leaf.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	write := func(file, kind string, der []byte, err error) {
		check(t, err)
		check(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
	}
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	write(a.CAFile, "CERTIFICATE", der, err)
	der, err = x509.CreateCertificate(rand.Reader, leaf, ca, key.Public(), caKey)
	write(a.CertFile, "CERTIFICATE", der, err)
	der, err = x509.MarshalPKCS8PrivateKey(key)
	write(a.KeyFile, "PRIVATE KEY", der, err)
	return a
}

// Server returns where a redis-server or sentinel with those lines of
// configuration speaks TLS: beside its plain port, and to others of its kind.
// It asks for a certificate as well.
func (a Authority) Server(t testing.TB) (addr string, lines [][2]string) {
	t.Helper()
	addr = loopback.Address()
	_, port, _ := net.SplitHostPort(addr)
	return addr, [][2]string{
		{"tls-port", port},
		{"tls-ca-cert-file", a.CAFile},
		{"tls-cert-file", a.CertFile},
		{"tls-key-file", a.KeyFile},
		{"tls-replication", "yes"},
		{"tls-cluster", "yes"},
	}
}

// Client is how a client of such a server speaks TLS.
func (a Authority) Client(t testing.TB) *tls.Config {
	t.Helper()
	pem, err := os.ReadFile(a.CAFile)
	check(t, err)
	cert, err := tls.LoadX509KeyPair(a.CertFile, a.KeyFile)
	check(t, err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	return &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{cert}}
}
