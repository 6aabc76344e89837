package config

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// spacedSubject is a subject as people like to read it: with a space behind each
// comma that is not part of a value.
var spacedSubject = regexp.MustCompile(`[^\\], `)

// subjectForm is how a subject begins: with a type of attribute (RFC 4514 §3).
var subjectForm = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9-]*|[0-9]+(\.[0-9]+)+)=`)

// certificates checks what a route asks of client certificates.
func (v *validator) certificates(path string, rules []CertificateRule) {
	for i, rule := range rules {
		at := fmt.Sprintf("%s[%d]", path, i)
		said := rule.Subject != "" || rule.URI != "" || rule.DNS != ""
		if uri, err := url.Parse(rule.URI); rule.URI != "" && (err != nil || uri.Scheme == "") {
			v.fault(at+".uri", "is not a URI such as spiffe://acme/ns/shop/sa/orders")
		}
		if rule.DNS != "" && !dnsForm.MatchString(rule.DNS) {
			v.fault(at+".dns", "is not a DNS name such as orders.internal")
		}
		switch {
		case rule.Any && said:
			v.fault(at+".any", "stands alone: with it subject, uri and dns mean nothing")
		case !rule.Any && !said:
			v.fault(at, "says nothing: write a subject, a uri or a dns name, or any: true")
		case rule.Subject != "" && (!subjectForm.MatchString(rule.Subject) || spacedSubject.MatchString(rule.Subject)):
			v.fault(at+".subject", "is not a subject such as CN=orders,O=acme: openssl x509 -noout -subject -nameopt RFC2253 prints it")
		}
	}
	if len(rules) > 0 {
		v.clientCA(path)
	}
}

// clientCA checks that clients can have a certificate, which the value at path
// is about.
func (v *validator) clientCA(path string) {
	if v.Server.TLS.ClientCAFile == "" && !v.broken("server.tls") {
		v.fault(path, "needs server.tls.client_ca_file: without it no client shows a certificate")
	}
}

// schemes checks that a route's upstreams can do what the route says of them.
func (v *validator) schemes(path string, r *Route) {
	has := func(scheme string) bool {
		return slices.ContainsFunc(r.Upstream, func(up Upstream) bool { return strings.HasPrefix(up.URL, scheme+":") })
	}
	if r.Websocket && has("h2c") {
		v.fault(path+".websocket", "cannot be had from an h2c upstream: WebSockets begin in HTTP/1.1")
	}
	if v.written(path+".upstream_tls") && !v.broken(path+".upstream") && !has("https") {
		v.fault(path+".upstream_tls", "is for https upstreams: the route has none")
	}
}
