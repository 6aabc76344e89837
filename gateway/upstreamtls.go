package gateway

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"gatehouse/config"
	"gatehouse/proxy"
)

// upstreamTLS is how a route's https upstreams are spoken to, nil when the route
// says nothing of it. The ID goes by what is in the files, so that connections
// made with what is no longer in them are not used again.
func (b *builder) upstreamTLS(path string, files config.ClientTLS) *proxy.UpstreamTLS {
	t := b.clientTLS(path, files)
	if t == nil {
		return nil
	}
	id := sha256.New()
	fmt.Fprintf(id, "%q", files)
	for _, file := range []config.File{files.CAFile, files.CertFile} {
		content, _ := file.Read() // t was made of it
		fmt.Fprintf(id, "%q", content)
	}
	return &proxy.UpstreamTLS{Config: t, ID: hex.EncodeToString(id.Sum(nil))}
}
