package gateway

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"

	"gatehouse/config"
)

// clientTLS is how a server is spoken to by TLS. With an error comes the path of
// the value that is at fault.
func clientTLS(path string, files config.ClientTLS) (at string, t *tls.Config, err error) {
	t = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: files.ServerName}
	if files.CAFile != "" {
		if t.RootCAs, err = authorities(files.CAFile); err != nil {
			return path + ".ca_file", nil, err
		}
	}
	if files.CertFile == "" {
		return "", t, nil
	}
	if _, err := keyPair(files.CertFile, files.KeyFile); err != nil {
		return path + ".cert_file", nil, err
	}
	// Such certificates live for days or hours: each connection reads it again.
	t.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		pair, err := keyPair(files.CertFile, files.KeyFile)
		return &pair, err
	}
	return "", t, nil
}

// clientTLS is nil when nothing is said of it, or when it is at fault, which is
// noted.
func (b *builder) clientTLS(path string, files config.ClientTLS) *tls.Config {
	if files == (config.ClientTLS{}) || b.faulty(path) {
		return nil
	}
	at, t, err := clientTLS(path, files)
	if err != nil {
		b.fault(at, err)
	}
	return t
}

// authorities reads certificates, of which there must be one at least.
func authorities(file config.File) (*x509.CertPool, error) {
	pem, err := file.Read()
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New("there is no certificate in it: want PEM")
	}
	return pool, nil
}

// keyPair reads a certificate and its key.
func keyPair(cert, key config.File) (tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(string(cert), string(key))
	if err != nil {
		err = fmt.Errorf("the certificate and its key cannot be used: %w", err)
	}
	return pair, err
}
