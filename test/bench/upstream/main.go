// Command upstream answers every request with 1 KiB: what stands behind both
// proxies when they are compared.
package main

import (
	"flag"
	"log"
	"net/http"
	"strings"
	"time"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:18091", "address to listen on")
	flag.Parse()
	body := []byte(strings.Repeat("x", 1024))
	server := &http.Server{
		Addr:              *listen,
		ReadHeaderTimeout: 10 * time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			_, _ = w.Write(body) // fails only when the client has gone
		}),
	}
	log.Fatal(server.ListenAndServe())
}
