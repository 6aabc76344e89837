package gateway

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
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// authority signs certificates for a test.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	a := &authority{t: t, key: must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a.cert = must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key))))
	return a
}

// pem is the authority's own certificate.
func (a *authority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

// issue signs a certificate, for loopback as a server and for a client.
func (a *authority) issue(name, uri string, life time.Duration) (cert, key []byte) {
	a.t.Helper()
	own := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name, Organization: []string{"acme"}}, NotAfter: time.Now().Add(life),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{name}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if uri != "" {
		template.URIs = []*url.URL{must(url.Parse(uri))}
	}
	der := must(x509.CreateCertificate(rand.Reader, template, a.cert, own.Public(), a.key))
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: must(x509.MarshalPKCS8PrivateKey(own))})
}

// client is a certificate for a client.
func (a *authority) client(name, uri string, life time.Duration) tls.Certificate {
	a.t.Helper()
	return must(tls.X509KeyPair(a.issue(name, uri, life)))
}

// serverTLS is how a server is run that asks clients for a certificate of the
// same authority.
func serverTLS(a *authority, cert, key []byte) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{must(tls.X509KeyPair(cert, key))}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: a.pool()}
}

// pool is what believes this authority.
func (a *authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

// volume is a folder as Kubernetes mounts one: each file is a link through
// ..data, which is swapped for all of them at once.
type volume struct {
	t      *testing.T
	folder string
	turn   int
}

func newVolume(t *testing.T, files map[string][]byte) *volume {
	t.Helper()
	v := &volume{t: t, folder: t.TempDir()}
	v.swap(files)
	for name := range files {
		v.check(os.Symlink(filepath.Join("..data", name), filepath.Join(v.folder, name)))
	}
	return v
}

func (v *volume) swap(files map[string][]byte) {
	v.t.Helper()
	v.turn++
	data := filepath.Join(v.folder, "..data")
	inner := "..turn" + string(rune('0'+v.turn))
	v.check(os.Mkdir(filepath.Join(v.folder, inner), 0o700))
	for name, content := range files {
		v.check(os.WriteFile(filepath.Join(v.folder, inner, name), content, 0o600))
	}
	v.check(os.Symlink(inner, data+"_tmp"))
	v.check(os.Rename(data+"_tmp", data))
}

func (v *volume) check(err error) {
	v.t.Helper()
	if err != nil {
		v.t.Fatal(err)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
