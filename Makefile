# scripts/setup.sh first installs missing programs, where apt may be used without a password.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help build run test soak lint bench fmt setup deb

TOOLS := $(CURDIR)/target/tools/bin
# What the package holds and the program makes.
MADE := packaging/made

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-6s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install what building and running need
	@scripts/setup.sh

build: setup ## Build the program, target/release/hims
	cargo build --release --bin hims

run: setup ## Start a demo hospital on http://127.0.0.1:8080
	cargo run --release --bin hims -- serve --demo

test: ## Build the server and run every test
	@scripts/setup.sh test
	cargo build --workspace --bin hims --tests
	cargo test --workspace

soak: ## Work half an hour under faults (SOAK_MINUTES) and check the history
	@scripts/setup.sh test
	cargo build --release --bin hims
	cargo test --release -p hims-tests -- --ignored --nocapture --test-threads 1 checker::soak

lint: ## Check format, lints, dependencies and documentation
	@scripts/setup.sh code
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	@scripts/setup.sh lint
	PATH="$(TOOLS):$$PATH" cargo deny check licenses bans sources
	@export PATH="$(TOOLS):$$PATH"; if timeout 60 cargo deny --log-level off fetch db; then \
		cargo deny check --disable-fetch advisories; \
	else echo "advisories: not checked, since their database cannot be had from here"; fi
	PATH="$(TOOLS):$$PATH" cargo machete --skip-target-dir
# With the examples, which there are none of, libraries have the features that clippy checked them with.
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --lib --bin hims --examples

bench: setup ## Measure against plain INSERTs, in the same run
	cargo run --release -p hims-benches

deb: ## Build the Debian package, target/debian/hims_*.deb
	@scripts/setup.sh deb
	cargo build --release --bin hims
	rm -rf $(MADE) && mkdir $(MADE)
	target/release/hims man $(MADE)/man
	target/release/hims completions bash >$(MADE)/hims.bash
	target/release/hims completions zsh >$(MADE)/_hims
	target/release/hims completions fish >$(MADE)/hims.fish
	PATH="$(TOOLS):$$PATH" cargo deb --package hims-api --no-build --locked

fmt: ## Format the code
	cargo fmt --all
