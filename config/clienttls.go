package config

// ClientTLS is whose certificates are believed of a server, and which one it is
// shown.
type ClientTLS struct {
	CAFile     File   `yaml:"ca_file" doc:"Authorities in PEM, one of which must have signed the server's certificate. Without: those of the system."`
	CertFile   File   `yaml:"cert_file" doc:"Certificate chain in PEM to show to a server that asks for one."`
	KeyFile    File   `yaml:"key_file" private:"true" doc:"The certificate's private key in PEM."`
	ServerName string `yaml:"server_name" doc:"Name that the server's certificate must be for. Without: the host that is connected to."`
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
