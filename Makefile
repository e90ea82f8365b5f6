# The project's targets. Each works alone and first on a fresh clone; what is missing is installed or named.
STACK ?= dev

SLIPWAY := .venv/bin/slipway
COMPILE := uv pip compile --quiet --no-header --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links
PYTEST := .venv/bin/python -m pytest
NODE := .venv/bin/python -m tests.cluster.node
# seconds since the recipe began, for the phases of `make test`
TIMED := phase() { printf '\n== %s\n' "$$1"; s=$$(date +%s); shift; "$$@" || exit $$?; printf '== %s s\n' $$(($$(date +%s) - s)); }

.DEFAULT_GOAL := help
.PHONY: help setup up status down preview check test test-cluster test-chaos bench bench-cluster image push lock fmt

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install what environments need
	./pulumiw setup

up: ## bring the environment up (STACK=dev), then one prediction
	@./pulumiw doctor --unmet
	./pulumiw up -s $(STACK)
	$(SLIPWAY) status -s $(STACK)
	$(SLIPWAY) predict -s $(STACK)

status: ## what runs, and how it is
	@./pulumiw env >/dev/null
	@$(SLIPWAY) status -s $(STACK)

preview: ## what `make up` would change; OFFLINE=1: from an empty state, without network or credentials
	$(if $(filter 1,$(OFFLINE)),SLIPWAY_OFFLINE=1 )./pulumiw preview -s $(STACK)

down: ## take the environment down; destroy names what it keeps
	./pulumiw destroy -s $(STACK)

check: ## format, lint, types and the fast tests
	@./pulumiw setup --dev
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	$(PYTEST) -q tests/unit tests/components tests/programs tests/policies

test: ## everything that proves the project, on this machine
	@$(TIMED); \
	phase "setup" ./pulumiw setup --dev; \
	mkdir -p .slipway; $(NODE) build >.slipway/node-build.log 2>&1 & build=$$!; trap 'kill $$build 2>/dev/null' EXIT; \
	built() { wait $$build || tail -3 .slipway/node-build.log; }; \
	phase "check: format, lint, types, fast tests" $(MAKE) --no-print-directory check; \
	phase "training" $(PYTEST) -q tests/training; \
	phase "serving" $(PYTEST) -q tests/serving; \
	phase "stacks" $(PYTEST) -q tests/stacks; \
	phase "aws: the engine against a test server" $(PYTEST) -q tests/aws; \
	phase "the node's binaries and images, built beside all that" built; \
	phase "cluster" $(PYTEST) -q -m "not slow" tests/cluster

test-cluster: ## the tests on a real Kubernetes node, or on SLIPWAY_TEST_KUBECONFIG
	@./pulumiw setup --dev
	$(PYTEST) -q tests/cluster

test-chaos: ## the tests that kill, fill and cut; those on a cluster (tests/chaos) run only here
	@./pulumiw setup --dev
	$(PYTEST) -q -m chaos tests

bench: ## the figures of the README
	@if ! [ -f benchmarks/__main__.py ]; then echo "bench: there is no benchmarks/__main__.py yet" >&2; exit 2; fi
	@./pulumiw setup --dev
	.venv/bin/python -m benchmarks

bench-cluster: ## 100 environments on one API server with 500 nodes, on the tests' own node: six to nine minutes
	@./pulumiw setup --dev
	.venv/bin/python -m benchmarks.cluster

image: ## the image of Kubernetes environments as an archive, without a container engine (IMAGE=FILE)
	@./pulumiw setup
	.venv/bin/python -m infra.image build --archive $(or $(IMAGE),.slipway/image.tar)

push: ## build that image with docker or podman, push it to the registry that the stack made, pin it (STACK=prod)
	@./pulumiw setup
	@.venv/bin/python -m infra.image.push --stack $(STACK)$(if $(EXTRA), --extra $(EXTRA))

lock: ## make the hash-pinned locks anew from requirements/*.in
	$(COMPILE) -o requirements/runtime.txt requirements/runtime.in
	$(COMPILE) -o requirements/program.txt requirements/program.in
	$(COMPILE) -o requirements/dev.txt requirements/dev.in
	$(COMPILE) -o requirements/image.txt requirements/image.in

fmt: ## format, and fix what the linter can fix
	@./pulumiw setup --dev
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .
