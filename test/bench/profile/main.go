// Profile runs gatehouse and writes a CPU profile of it to the file that its
// first argument names, for the compiler: see run.sh.
package main

import (
	"log"
	"os"
	"runtime/pprof"

	"gatehouse/cli"
)

func main() {
	file, err := os.Create(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		log.Fatal(err)
	}
	status := cli.Main(append([]string{"gatehouse"}, os.Args[2:]...), cli.Stdio{In: os.Stdin, Out: os.Stdout, Err: os.Stderr})
	pprof.StopCPUProfile()
	if err := file.Close(); err != nil || status != 0 {
		log.Fatal("no profile: status ", status, ", ", err)
	}
}
