package config

import (
	"net/netip"
	"regexp"
)

// dnsForm is what a certificate may have as a DNS name; * stands for one label.
var dnsForm = regexp.MustCompile(`^(\*\.)?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?$`)

// ClientTLS is whose certificates are believed of a server, and which one it is
// shown.
type ClientTLS struct {
	CAFile     File   `yaml:"ca_file" doc:"Authorities in PEM, one of which must have signed the server's certificate. Without: those of the system."`
	CertFile   File   `yaml:"cert_file" doc:"Certificate chain in PEM to show to a server that asks for one."`
	KeyFile    File   `yaml:"key_file" private:"true" doc:"The certificate's private key in PEM."`
	ServerName string `yaml:"server_name" doc:"Name that the server's certificate must be for. Without: the host that is connected to."`
}

// clientTLS checks what a server is shown and which name is expected of it.
func (v *validator) clientTLS(path string, c ClientTLS) {
	v.pair(path, c.CertFile, c.KeyFile)
	if _, err := netip.ParseAddr(c.ServerName); c.ServerName != "" && err != nil && !dnsForm.MatchString(c.ServerName) {
		v.fault(path+".server_name", "is not a name such as redis.internal: it has no port, and nothing of a URL")
	}
}

// pair checks that certificate and key come together.
func (v *validator) pair(path string, cert, key File) {
	switch {
	case cert != "" && key == "":
		v.fault(path+".key_file", "is missing: a certificate needs its private key")
	case cert == "" && key != "":
		v.fault(path+".cert_file", "is missing: a private key needs its certificate")
	}
}
