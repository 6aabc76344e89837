package gateway

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// certificate writes a self-signed certificate for loopback and its key.
func certificate(t *testing.T, folder, name string) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: der}, "key.pem": {Type: "PRIVATE KEY", Bytes: pkcs8}} {
		if err := os.WriteFile(filepath.Join(folder, file), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func TestTLS(t *testing.T) {
	certs := t.TempDir()
	certificate(t, certs, "first")
	upstream := echo(t)
	open := fmt.Sprintf("  - {name: open, match: /open/, upstream: %q, auth: none}\n", upstream)
	withTLS := func(more string) string {
		return strings.Replace(yaml(upstream, open), "drain_timeout: 5s", fmt.Sprintf("drain_timeout: 5s, tls: {cert_file: %s/cert.pem, key_file: %s/key.pem%s}", certs, certs, more), 1)
	}
	r := start(t, withTLS(""))
	var mine []tls.Certificate
	name := func() (string, int, error) {
		c := &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true, Certificates: mine}}}
		defer c.CloseIdleConnections()
		res, err := c.Get("https://" + r.Addr().String() + "/open/")
		if err != nil {
			return "", 0, err
		}
		_ = res.Body.Close()
		return res.TLS.PeerCertificates[0].Subject.CommonName, res.ProtoMajor, nil
	}
	if who, proto, err := name(); who != "first" || proto != 2 || err != nil {
		t.Fatal(who, proto, err)
	}
	ca := certificate(t, certs, "second")
	r.eventually("on the second certificate", func() bool { who, _, err := name(); return err == nil && who == "second" })
	if err := os.WriteFile(filepath.Join(certs, "ca.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	r.write(withTLS(fmt.Sprintf(", client_ca_file: %s/ca.pem", certs)))
	r.eventually("asking for a client certificate", func() bool { _, _, err := name(); return err != nil })
	pair, err := tls.LoadX509KeyPair(certs+"/cert.pem", certs+"/key.pem")
	if err != nil {
		t.Fatal(err)
	}
	mine = []tls.Certificate{pair}
	if _, _, err := name(); err != nil {
		t.Errorf("with the client certificate: %v", err)
	}
}
