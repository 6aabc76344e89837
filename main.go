// Gatehouse is a reverse-proxy authentication gateway.
package main

import (
	"os"

	"gatehouse/cli"
)

func main() {
	os.Exit(cli.Main(os.Args, cli.Stdio{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
}
