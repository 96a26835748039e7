PYTHON ?= python3
BIN := .venv/bin
# Python compiles a module when it is first used: to compile all would be a long silence before the first screen.
PIP := $(BIN)/python -m pip --disable-pip-version-check install --no-compile
INSTALLED := .venv/.installed
STAMP := .venv/.set-up
EXAMPLES := docs/examples
PACKAGES := $(EXAMPLES)/node_modules/.set-up
EMULATORS := tests/npm/node_modules/.set-up
PROMETHEUS := .venv/.prometheus
PGBOUNCER := .venv/.pgbouncer
ALERTMANAGER := .venv/.alertmanager

.PHONY: setup demo test lint bench picture clean

setup: $(STAMP) $(PACKAGES) $(EMULATORS) $(PROMETHEUS) $(PGBOUNCER) $(ALERTMANAGER)

# The program and what it runs on: all that `make demo` needs. The venv is made anew only when what goes into it changes.
$(INSTALLED): pyproject.toml requirements.txt requirements-build.txt
	@$(PYTHON) -c 'import sys; sys.exit("watchfloor needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	@echo "Installing Watchfloor and the packages that it runs on into .venv; this is done once."
	$(PYTHON) -m venv .venv
	$(PIP) --require-hashes -r requirements.txt -r requirements-build.txt
	$(PIP) --no-deps --no-build-isolation --config-settings editable_mode=compat --editable .
	@touch $(INSTALLED)

# What tests and checks need besides.
$(STAMP): $(INSTALLED) requirements-dev.txt
	@echo "Installing what tests and checks need into .venv; this is done once."
	$(PIP) --require-hashes -r requirements-dev.txt
	@touch $(STAMP)

# What the Node example of docs/data-plane.md needs, by the venv's own npm.
$(PACKAGES): $(EXAMPLES)/package.json $(EXAMPLES)/package-lock.json $(STAMP)
	cd $(EXAMPLES) && PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --no-audit --no-fund --loglevel=error
	@touch $(PACKAGES)

# The emulator of Azure's storage that the tests publish to.
$(EMULATORS): tests/npm/package.json tests/npm/package-lock.json $(STAMP)
	cd tests/npm && PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $(EMULATORS)

# What the tests of docs/prometheus.md need.
$(PROMETHEUS): $(STAMP)
	@echo "Fetching a Prometheus for the tests."
	$(BIN)/python -m tests.prometheus
	@touch $(PROMETHEUS)

# What the tests of a pooler before the home need.
$(PGBOUNCER): $(STAMP)
	@echo "Fetching a PgBouncer for the tests."
	$(BIN)/python -m tests.pgbouncer
	@touch $(PGBOUNCER)

# What routing is compared with.
$(ALERTMANAGER): $(STAMP)
	@echo "Fetching Alertmanager's amtool for the tests."
	$(BIN)/python -m tests.alertmanager
	@touch $(ALERTMANAGER)

demo: $(INSTALLED)
	$(BIN)/watchfloor demo

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint
	$(BIN)/pytest -n auto --dist worksteal

bench: setup
	$(BIN)/python -m benchmarks

picture: setup
	$(BIN)/python -m docs.picture

clean:
	rm -rf .venv $(EXAMPLES)/node_modules tests/npm/node_modules build *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
