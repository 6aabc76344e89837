# What is done often, by name. `make test` sets up what it needs.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := build

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
COMMIT ?= $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
LDFLAGS = -s -w -X gatehouse/cli.version=$(VERSION) -X gatehouse/cli.commit=$(COMMIT)
TOOL = go tool -modfile=tools/go.mod
FUZZTIME ?= 1m
FIPS = v1.0.0
GOVULNCHECK = v1.9.0
BENCH ?= .

.PHONY: build
build: ## the static binary, bin/gatehouse
	CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "$(LDFLAGS)" -o bin/gatehouse .

.PHONY: demo
demo: ## the gateway in front of an echo, with curl lines to paste
	go run . demo

.PHONY: test
test: ## every test, under the race detector, with real servers
	test/services.sh cc redis-server initdb
	go test $$(command -v cc >/dev/null && echo -race || echo 'no C compiler: without -race' >&2) -shuffle=on -timeout 15m ./...

.PHONY: check
check: ## format, vet, lint, the rules of the house, go.mod
	@unformatted=$$($(TOOL) gofumpt -l .); [ -z "$$unformatted" ] || \
		{ printf 'not formatted; `make format` does it:\n%s\n' "$$unformatted"; exit 1; }
	go vet ./...
	$(TOOL) staticcheck ./...
	go test -count=1 -run '^TestHouse' ./test
	go mod tidy -diff

.PHONY: format
format: ## write what `make check` asks for
	$(TOOL) gofumpt -l -w .

.PHONY: bench
bench: ## testing.B benchmarks as a table; BENCH=Decide for some of them
	@go test -run '^$$' -bench '$(BENCH)' -benchmem ./... | \
		awk '/^pkg:/ {pkg = $$2} /^Benchmark/ {printf "%-26s %s\n", pkg, $$0} /^(FAIL|panic|---)/ {print > "/dev/stderr"}'

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME (1m) each
	@for pkg in $$(go list ./...); do \
		for target in $$(go test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
			echo "$$pkg $$target"; \
			go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) $$pkg; \
		done; \
	done

.PHONY: faults
faults: ## break the store under running gateways, ten times in each way
	go test -count=1 -v -timeout 60m -parallel 5 ./test/faults -faults.rounds 10 -faults.hold 3s | grep -v '"msg":"request"'

.PHONY: sim
sim: ## the model of a thousand replicas: what it carries, and where it breaks
	go test -count=1 -v -timeout 15m ./test/sim -sim.long

.PHONY: scale
scale: ## a revocation list of ten million behind 32 MiB, and start-up with one of a million: 4 GB of memory
	go test -count=1 -v -timeout 15m ./test/scale -scale.entries 10000000 -scale.memory 32MiB -scale.limit 30MiB
	go test -run '^$$' -timeout 15m -bench 'ColdStart|ReadWhileWritten|TenMillion' ./store ./auth/revocation

.PHONY: peers
peers: ## 150,000 mutated streams past nginx and HAProxy, each way
	test/services.sh nginx haproxy
	go test -count=1 -v -timeout 60m ./test/peers -peers.cases 150000

.PHONY: campaign
campaign: ## a million changed credentials: none may get through
	go test -count=1 -v -timeout 60m -run Campaign ./test/campaign -campaign.mutations 1000000

.PHONY: lifecycle
lifecycle: ## 100,000 broken off requests, 1,000 reloads and 100 ends under load
	go test -count=1 -v -timeout 60m ./test/lifecycle -lifecycle.aborts 100000 -lifecycle.reloads 1000 -lifecycle.drains 100

.PHONY: reproduce
reproduce: ## build twice, in two folders with nothing cached: the same bytes?
	@folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; \
	for n in 1 2; do \
		mkdir "$$folder/$$n" && git ls-files -z | tar -c --null --files-from - | tar -x -C "$$folder/$$n"; \
		GOCACHE="$$folder/cache$$n" $(MAKE) -s -C "$$folder/$$n" build VERSION=$(VERSION) COMMIT=$(COMMIT); \
	done; \
	sha256sum "$$folder"/[12]/bin/gatehouse; \
	cmp "$$folder/1/bin/gatehouse" "$$folder/2/bin/gatehouse"

.PHONY: sbom
sbom: build ## what is in the binary: modules with versions and checksums, build settings
	@go version -m bin/gatehouse

.PHONY: fips
fips: ## bin/gatehouse-fips on Go's validated cryptographic module, and tests of it
	CGO_ENABLED=0 GOFIPS140=$(FIPS) go build -trimpath -buildvcs=false -ldflags "$(LDFLAGS)" -o bin/gatehouse-fips .
	go version -m bin/gatehouse-fips | grep GOFIPS140=$(FIPS)
	GOFIPS140=$(FIPS) GODEBUG=fips140=only go test -count=1 -timeout 10m -run 'TestAlgorithms|TestIssuerOptions' ./test/contract

.PHONY: vuln
vuln: ## dependencies in Go's vulnerability database, where it can be reached
	@if curl -sSf -m 10 -o /dev/null https://vuln.go.dev/index/db.json; \
		then go run golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK) ./...; \
		else echo 'skipped: the database is not at hand; run it where https://vuln.go.dev can be reached'; fi

.PHONY: docs
docs: ## the generated pages and schema
	go test -count=1 -run "^TestHouseGenerated" ./test -update

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-9s %s\n", $$1, $$2}' Makefile
