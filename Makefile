# make build   sets up what is missing and builds gateway and plugins
# make run     builds, then serves on http://127.0.0.1:8080 (make run ARGS="--config plugway.yaml")
# make test    sets up what is missing and runs every test
# make soak    ten minutes of everything that goes wrong with upstreams, under load (make soak SECONDS=3600)
# make bench   measures against nginx; results go to docs/benchmarks.md by hand
# make lint    format, clippy, licences
.DEFAULT_GOAL := build
.PHONY: build run test soak bench lint wasm-target plugins guests clean

# Cargo's own folder, wherever it is; absolute, because tests run in another working directory.
TARGET := $(abspath $(or $(CARGO_TARGET_DIR),target))
ifdef CARGO_TARGET_DIR
export CARGO_TARGET_DIR := $(TARGET)
endif
PLUGWAY := $(TARGET)/release/plugway
PLUGINS := $(TARGET)/plugins
VENV := $(TARGET)/venv
NODE_CLIENTS := $(TARGET)/clients-node

build: wasm-target
	cargo build --release -p plugway
	$(MAKE) --no-print-directory plugins

plugins:
	$(PLUGWAY) plugin build plugins/* --out $(PLUGINS)

run: build
	$(PLUGWAY) serve $(ARGS)

# The tests are built before the plugins, and gateway and tests in one go: they share every dependency, and the gateway
# is what builds the plugins. The book's commands need curl. Cargo's own summary comes last.
test: wasm-target guests $(VENV)/ready $(NODE_CLIENTS)/ready
	command -v curl >/dev/null || tests/install.sh curl
	cargo test --release --workspace --no-run
	$(MAKE) --no-print-directory plugins
	tests/authors/build.sh $(TARGET)/authors
	PLUGWAY_PLUGINS=$(PLUGINS) PLUGWAY_GUESTS=$(TARGET)/guests PLUGWAY_PYTHON=$(VENV)/bin/python \
	PLUGWAY_AUTHORS=$(TARGET)/authors PLUGWAY_NODE_CLIENTS=$(NODE_CLIENTS) \
		cargo test --release --workspace

# Built as for the tests, so that what they built is used.
SECONDS ?= 600
soak: wasm-target
	cargo test --release --workspace --no-run
	$(MAKE) --no-print-directory plugins
	PLUGWAY_PLUGINS=$(PLUGINS) PLUGWAY_SOAK_SECONDS=$(SECONDS) \
		cargo test --release --workspace --test system -- --exact soak::under_load_of_mixed_faults_nothing_grows

bench: build
	{ command -v nginx && command -v wrk; } >/dev/null || tests/install.sh nginx-light wrk
	tests/bench/run.sh
	tests/bench-translation/run.sh
	tests/bench-translation/languages.sh

lint:
	command -v cargo-deny >/dev/null || cargo install --locked cargo-deny
	cargo fmt --all --check
	cargo fmt --all --check --manifest-path tests/guests/Cargo.toml
	cargo clippy --release --workspace --all-targets -- -D warnings
	cargo deny check bans licenses sources

wasm-target:
	rustup target list --installed | grep -qx wasm32-wasip2 || rustup target add wasm32-wasip2

guests: wasm-target
	tests/guests/build.sh $(TARGET)/guests

# The official clients, as their users install them.
$(VENV)/ready: tests/clients/requirements.txt
	python3 -c 'import ensurepip, venv' 2>/dev/null || tests/install.sh python3-venv
	python3 -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -r tests/clients/requirements.txt
	touch $@

$(NODE_CLIENTS)/ready: tests/clients/package.json
	{ command -v node && command -v npm; } >/dev/null || tests/install.sh nodejs npm
	mkdir -p $(NODE_CLIENTS)
	cp tests/clients/package.json $(NODE_CLIENTS)
	cd $(NODE_CLIENTS) && npm install --silent --no-audit --no-fund
	touch $@

clean:
	cargo clean
