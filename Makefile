# The only door: everything one does here has a name. Scripts live in deploy/check and beside the tests.

.DEFAULT_GOAL := help
COMPOSE ?= $(shell docker compose version >/dev/null 2>&1 && echo docker compose || echo docker-compose)
DENY := $(or $(shell command -v cargo-deny),target/test-tools/bin/cargo-deny)

MINUTES ?= 30

# Options for the measuring programs, e.g. BENCH="--runs 3".
BENCH ?=

SECONDS ?= 60

.PHONY: help run test fuzz soak instructions bench bench-quick bench-million bench-build check compose-check docs up down clean

help: ## This list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

run: ## A gateway on 127.0.0.1:8080, with a demo page and throw-away secrets
	cargo run --release -- dev

test: ## Everything, installing what it needs; STAGES="cargo browser" for some (deploy/check/test lists them)
	deploy/check/test $(STAGES)

soak: ## Faults by dice for long: MINUTES=n (30) SEED=s; run after run, until the time is over or one is red
	FANFARE_FAULTS_MINUTES=$(MINUTES) FANFARE_FAULTS_SEED=$(SEED) deploy/check/faults fault_run_mix

bench: bench-build ## Beside other servers, about an hour: docs/performance.md; BENCH="--runs 3", BENCH=--resume
	target/release/fanfare-bench suite $(BENCH)
	target/release/fanfare-bench page --from target/bench/suite.json \
	  $(addprefix --from ,$(wildcard target/bench/million.json))

bench-quick: bench-build ## The same in three minutes: ours, the floor and two others, tables only
	target/release/fanfare-bench suite --quick $(BENCH)

bench-million: bench-build ## As many connections as this machine holds; as root; BENCH="--connections 2000000"
	target/release/fanfare-bench million $(BENCH)

bench-build:
	cargo build --release --locked -p fanfare-gateway -p fanfare-bench

fuzz: ## Bytes by chance for all that others write: SECONDS=n for each (60), TARGETS="token claims" for some
	deploy/check/fuzz $(SECONDS) $(TARGETS)

instructions: ## Hot paths counted against their record, a part of test; RECORD=1 takes new counts
	deploy/check/instructions $(if $(RECORD),--record)

check: $(DENY) ## What a change must pass before anything else: format, lints, licences
	deploy/check/lint
	$(DENY) check bans licenses sources

compose-check: ## docker-compose.yml for real: up, a chat, a gateway killed, down
	deploy/check/compose

docs: ## The crates' documentation, into target/doc
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked

up: ## Three gateways, Redis, balancer and demo ticker on http://localhost:8080
	$(COMPOSE) up --build --detach

down: ## The end of it
	$(COMPOSE) down

clean: ## What building and testing left
	cargo clean
	git clean -fdX -- gateway/tests deploy/check

target/test-tools/bin/cargo-deny:
	cargo install --locked --root target/test-tools cargo-deny@0.20.2
