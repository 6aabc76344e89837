package keyset

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// PublicKeyPEM reads the first block of a PEM text: a public key (PKIX or
// PKCS #1) or a certificate. Errors never quote the text.
func PublicKeyPEM(text []byte) (crypto.PublicKey, error) {
	block, err := firstBlock(text)
	if err != nil {
		return nil, err
	}
	switch block.Type {
	case "PUBLIC KEY":
		return x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		return x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		return cert.PublicKey, nil
	case "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY":
		return nil, errors.New("this is a private key: name it as private_key_file, or write its public half here")
	}
	return nil, fmt.Errorf("the PEM block is a %q, want a PUBLIC KEY or a CERTIFICATE", block.Type)
}

// PrivateKeyPEM reads the private key of a PEM text (PKCS #8, PKCS #1 or
// SEC 1). Errors never quote the text.
func PrivateKeyPEM(text []byte) (crypto.Signer, error) {
	block, err := firstBlock(text)
	if err != nil {
		return nil, err
	}
	var key any
	switch block.Type {
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	case "ENCRYPTED PRIVATE KEY":
		err = errors.New("the private key is encrypted: decrypt it first (openssl pkey)")
	default:
		err = fmt.Errorf("the PEM block is a %q, want a PRIVATE KEY", block.Type)
	}
	if err != nil {
		return nil, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("a private key of type %T cannot sign", key)
	}
	return signer, nil
}

// firstBlock skips what is no key: openssl puts the curve's parameters in
// front of an EC key.
func firstBlock(text []byte) (*pem.Block, error) {
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			return nil, errors.New("no PEM block found: want -----BEGIN … KEY-----")
		}
		if block.Type != "EC PARAMETERS" {
			return block, nil
		}
		text = rest
	}
}
