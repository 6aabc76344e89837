package gateway

import (
	"errors"
	"time"

	"gatehouse/auth"
	"gatehouse/auth/introspection"
	"gatehouse/config"
)

// introspection has the issuer asked about its tokens.
func (b *builder) introspection(path string, issuer *auth.Issuer, c config.Issuer) {
	at := path + ".introspection"
	if b.faulty(at) {
		return
	}
	secret, field, err := reveal(".client_secret", c.Introspection.ClientSecret, c.Introspection.ClientSecretFile)
	if err != nil {
		b.fault(at+field, err)
		return
	}
	if secret == "" {
		b.fault(at+field, errors.New("is empty: want the client's secret"))
		return
	}
	client, err := introspection.New(introspection.Config{
		Issuer: c.Name, URL: c.Introspection.URL, ClientID: c.Introspection.ClientID, ClientSecret: secret,
		Timeout: c.Introspection.Timeout.Std(), Cache: c.Introspection.Cache.Std(), MaxCalls: c.Introspection.MaxConcurrent,
		TLS:     b.clientTLS(path+".tls", c.TLS),
		Observe: func(result auth.IntrospectionResult, took time.Duration) { b.parts.introspected(c.Name, result, took) },
		Log:     b.parts.log,
	})
	if err != nil {
		b.fault(at, err)
		return
	}
	issuer.Introspection = client
}

// unanswering reports whether the issuer is to be asked about its tokens, and did
// not answer when it was last.
func unanswering(issuer *auth.Issuer) bool {
	client, ok := issuer.Introspection.(*introspection.Client)
	return ok && client.Failing()
}
