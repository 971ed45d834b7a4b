# Everything here runs as often as you like. It needs Go and git; make test also gcc (for the race detector).

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

GO ?= go
SUITE ?= main

# The only tool that is not the Go toolchain. It lints, and formats with gofumpt and grouped imports. It takes minutes to
# compile, so it is kept; its name carries what it was built with.
LINT_VERSION := v2.12.2
LINT := bin/tools/golangci-lint-$(LINT_VERSION)-$(shell $(GO) env GOVERSION)

# What it found is kept by checkout: from a common cache it reports the files of another, which may be gone with its nolint comments.
export GOLANGCI_LINT_CACHE := $(CURDIR)/bin/tools/cache

# Guests: the example plugins, and what they stand on, are compiled for WebAssembly too.
WASM := GOOS=wasip1 GOARCH=wasm CGO_ENABLED=0
GUESTS = ./abi/... ./sdk/... $(patsubst %/plugin.yaml,./%,$(wildcard examples/*/plugin.yaml examples/*/*/plugin.yaml))

PLATFORMS := linux/amd64 linux/arm64 darwin/arm64 windows/amd64

# The race detector watches everything but what only computes, in one goroutine, and would take most of the time: the compilers of
# WebAssembly and of its checks, SQLite, deflate. A package with a sync.Map or an atomic.Pointer cannot be here: the linker would take its copy
# of them for all, and everything that they order would look like a race.
WAZERO := github.com/tetratelabs/wazero/internal
COMPUTES := compress/flate $(WAZERO)/engine/wazevo/backend/... $(WAZERO)/engine/wazevo/ssa $(WAZERO)/engine/wazevo/frontend $(WAZERO)/wasm/binary $(WAZERO)/leb128 \
	github.com/ncruces/go-sqlite3-wasm/... github.com/odac-run/odachost/host/internal/instrument
RACE := -race $(foreach package,$(COMPUTES),-gcflags=$(package)=-race=false)

# Programs that tests drive, as program:package of Debian.
TEST_PROGRAMS := wrk:wrk chromium:chromium

# What odachost new builds against, as long as no release is to be had.
CHECKOUT := github.com/odac-run/odachost/cmd/odachost/internal/build.checkout

say = @echo '== $(1)'

# Counts the packages that go build -v names, because the first build takes minutes, and passes on what else it says.
define count
n=0; while IFS= read -r line; do \
	if [[ ! $$line =~ ^[[:alnum:]./_~-]+$$ ]]; then printf '%s\n' "$$line" >&2; \
	elif (( ++n % 25 == 0 )); then echo "   $$n of about $${all:=$$($(GO) list -deps ./cmd/odachost | wc -l)} packages compiled"; fi; done
endef

.PHONY: help
help: ## what this file can do
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 18

.PHONY: build
build: ## the binary, into bin/odachost
	$(call say,build bin/odachost)
	@CGO_ENABLED=0 $(GO) build -v -trimpath -ldflags "-X '$(CHECKOUT)=$(CURDIR)'" -o bin/ ./cmd/odachost 2>&1 | { $(count); }

.PHONY: run
run: build ## build and serve the example plugins on http://127.0.0.1:8080 (ODAC_LISTEN changes it)
	@exec bin/odachost serve --deploy examples/board --deploy examples/hello

.PHONY: test
test: test-programs ## all tests, with the race detector, in random order
	$(call say,test)
	@CGO_ENABLED=1 $(GO) test $(RACE) -shuffle=on -timeout 20m ./...
	$(call say,test the memory of other systems)
	@$(GO) test -tags portable -run 'Reset|Secrets|Tables|Memory|Bounds|Close|Concurrent' ./host/internal/engine
	$(call say,test at full speed what the race detector slows down)
	@$(GO) test -timeout 5m -run TestSwap ./host

# Only root can have packages installed; without them the tests that need one say so and are skipped.
.PHONY: test-programs
test-programs:
	@missing=; for p in $(TEST_PROGRAMS); do command -v $${p%%:*} >/dev/null || missing="$$missing $${p##*:}"; done; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then \
		echo "== tests that need one of these packages are skipped:$$missing"; exit 0; fi; \
	echo "== install for the tests:$$missing"; \
	export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1; \
	apt-get update -qq && apt-get install -y -qq --no-install-recommends $$missing >/dev/null \
		|| echo "== not all could be installed; tests that need them are skipped"

.PHONY: check
check: check-lint check-vet check-layout check-platforms check-generated check-modules ## everything but the tests: format, lint, layout, platforms, generated files, modules

.PHONY: check-lint
check-lint: $(LINT)
	$(call say,format)
	@out="$$($(LINT) fmt --diff)" || { printf '%s\n' "$$out"; echo "make fmt puts it right"; exit 1; }
	$(call say,lint)
	@$(LINT) run ./...
	@$(WASM) $(LINT) run --disable unused $(GUESTS) # unused does not know go:wasmexport

.PHONY: check-vet
check-vet:
	$(call say,vet native and wasip1)
	@$(GO) vet ./...
	@$(WASM) $(GO) vet $(GUESTS)

.PHONY: check-layout
check-layout:
	$(call say,layout)
	@$(GO) test -count=1 .

.PHONY: check-platforms
check-platforms:
	@for p in $(PLATFORMS); do \
		echo "== build for $$p"; \
		GOOS=$${p%/*} GOARCH=$${p#*/} CGO_ENABLED=0 $(GO) build ./...; \
	done

# Compared with what was there before, not with the last commit: it may run on work in progress.
.PHONY: check-generated
check-generated:
	$(call say,generated files)
	@state() { git status --porcelain; git diff; }; \
	before="$$(state)"; $(GO) generate ./...; \
	if [ "$$before" != "$$(state)" ]; then git status --short; echo "go generate ./... changed files: commit what it writes"; exit 1; fi

.PHONY: check-modules
check-modules:
	$(call say,go.mod)
	@$(GO) mod tidy -diff

.PHONY: fmt
fmt: $(LINT) ## format the code
	@$(LINT) fmt

.PHONY: bench
bench: ## measure: prints figure lines (SUITE=main, engine, idle, migrate or database)
	@cd bench && $(GO) run . $(SUITE)

.PHONY: clean
clean: ## remove what was built (the tools stay: they take minutes)
	@find bin -mindepth 1 -maxdepth 1 ! -name tools -exec rm -rf {} +

$(LINT):
	$(call say,compile golangci-lint $(LINT_VERSION): once; a few minutes)
	@mkdir -p bin/tools/new && rm -f bin/tools/golangci-lint-*
	@CGO_ENABLED=0 GOFLAGS= GOBIN=$(CURDIR)/bin/tools/new $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)
	@mv bin/tools/new/golangci-lint $@ && rmdir bin/tools/new
