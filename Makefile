# Every target does its own set-up: a fresh machine with Python 3.11 or later and make is enough.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
TOOLS := .tools/.ready

.PHONY: sandbox test test-slow test-all lint format bench tools az clean pictures snapshots

sandbox: $(READY)  ## rehearse the whole job on this machine
	$(BIN)/privatelink-wizard sandbox --reset --fetch-helm

test: $(READY) tools  ## the fast suite, under 4 minutes on 2 cores
	$(BIN)/pytest -m "not slow" -n 2 --dist worksteal

test-slow: $(READY) tools  ## what takes long: kill -9 at every append, real registry, 200 killed writers
	$(BIN)/pytest -m slow -n 2 --dist worksteal

test-all: $(READY) tools
	$(BIN)/pytest -n 2 --dist worksteal

lint: $(READY)  ## ruff format and lint, mypy --strict, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(READY) tools  ## the speed budgets, as ratios measured in one run
	$(BIN)/python -m tests.bench

pictures: $(READY) tools  ## the README's picture and recording, from the real program
	$(BIN)/python -m tests.pictures

snapshots: $(READY)  ## accept the screens as they are drawn now; then read git diff like code
	PRIVATELINK_ACCEPT_SNAPSHOTS=1 $(BIN)/pytest tests/screens/test_snapshots.py -n 2

az: .tools/azure-cli/.ready  ## the real az (700 MB) for the one slow test that drives it against the sandbox

.tools/azure-cli/.ready:
	$(PYTHON) -m venv .tools/azure-cli
	.tools/azure-cli/bin/python -m pip install --quiet --disable-pip-version-check azure-cli
	@touch $@

tools: $(TOOLS)  ## helm 3, helm 4 and kubectl for the tests, fetched and checked against their SHA-256

# Where there is no pinned helm for a platform, the tests that need it skip and name this target.
$(TOOLS): $(READY)
	-$(BIN)/python -m wizard.sandbox.fetch_helm --version 3.19.0 --to .tools --kubectl
	-$(BIN)/python -m wizard.sandbox.fetch_helm --version 4.1.4 --to .tools
	@mkdir -p .tools && touch $@

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or later is needed; say which with: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV) .tools .mypy_cache .ruff_cache .hypothesis .import_linter_cache
