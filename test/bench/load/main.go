// Command load keeps a number of connections busy for a while, each with one
// request after the other, and prints as one line of JSON how many were
// answered, and how many of them with another status than 200.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// head is what a browser sends behind the path, less the credentials.
const head = " HTTP/1.1\r\nHost: bench.example\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n" +
	"Accept: application/json, text/plain, */*\r\nAccept-Language: en-GB,en;q=0.7,de;q=0.3\r\nAccept-Encoding: gzip, deflate, br\r\n" +
	"Referer: https://app.example.com/orders\r\nOrigin: https://app.example.com\r\nSec-Fetch-Dest: empty\r\nSec-Fetch-Mode: cors\r\n" +
	"Sec-Fetch-Site: same-site\r\nCache-Control: no-cache\r\nPragma: no-cache\r\n"

type result struct {
	Requests int64 `json:"requests"`
	Not200   int64 `json:"not_200"` // connections that broke count once
}

func main() {
	target := flag.String("target", "127.0.0.1:18090", "address of the proxy")
	connections := flag.Int("connections", 32, "requests at once")
	lasting := flag.Duration("for", 5*time.Second, "how long")
	keyFile := flag.String("api-key-file", "", "file with the API key")
	tokenFile := flag.String("token-file", "", "file with the bearer token")
	path := flag.String("path", "/bench/ping", "what to ask for")
	flag.Parse()

	request := []byte("GET " + *path + head + line("Api-Key: ", *keyFile) + line("Authorization: Bearer ", *tokenFile) + "\r\n")
	end := time.Now().Add(*lasting)
	var requests, not200 atomic.Int64
	var clients sync.WaitGroup
	for range *connections {
		clients.Go(func() {
			for time.Now().Before(end) {
				answered, bad, err := drive(*target, request, end)
				requests.Add(answered)
				not200.Add(bad)
				if err != nil {
					not200.Add(1)
					log.Print(err)
					time.Sleep(100 * time.Millisecond) // not a hot loop while nothing listens
				}
			}
		})
	}
	clients.Wait()
	if err := json.NewEncoder(os.Stdout).Encode(result{requests.Load(), not200.Load()}); err != nil {
		log.Fatal(err)
	}
}

func line(prefix, file string) string {
	if file == "" {
		return ""
	}
	text, err := os.ReadFile(file)
	if err != nil {
		log.Fatal(err)
	}
	return prefix + strings.TrimSpace(string(text)) + "\r\n"
}

// drive sends the request over one connection until the end, or until the
// connection breaks.
func drive(target string, request []byte, end time.Time) (answered, bad int64, err error) {
	conn, err := net.Dial("tcp", target)
	if err != nil {
		return 0, 0, err
	}
	defer conn.Close()
	reader := bufio.NewReader(conn)
	for time.Now().Before(end) {
		if _, err := conn.Write(request); err != nil {
			return answered, bad, err
		}
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			return answered, bad, err
		}
		if _, err := io.Copy(io.Discard, response.Body); err != nil {
			return answered, bad, err
		}
		answered++
		if response.StatusCode != http.StatusOK {
			bad++
		}
	}
	return answered, bad, nil
}
