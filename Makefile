PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.set-up
EXAMPLES := docs/examples
PACKAGES := $(EXAMPLES)/node_modules/.set-up
PROMETHEUS := .venv/.prometheus
PGBOUNCER := .venv/.pgbouncer

.PHONY: setup demo test lint bench picture clean

setup: $(STAMP) $(PACKAGES) $(PROMETHEUS) $(PGBOUNCER)

# The venv is made anew only when what goes into it changes.
$(STAMP): pyproject.toml requirements-dev.txt
	$(PYTHON) -c 'import sys; sys.exit("watchfloor needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --config-settings editable_mode=compat --editable .
	touch $(STAMP)

# What the Node example of docs/data-plane.md needs, by the venv's own npm.
$(PACKAGES): $(EXAMPLES)/package.json $(EXAMPLES)/package-lock.json $(STAMP)
	cd $(EXAMPLES) && PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --no-audit --no-fund --loglevel=error >/dev/null
	touch $(PACKAGES)

# What the tests of docs/prometheus.md need.
$(PROMETHEUS): $(STAMP)
	$(BIN)/python -m tests.prometheus
	touch $(PROMETHEUS)

# What the tests of a pooler before the home need.
$(PGBOUNCER): $(STAMP)
	$(BIN)/python -m tests.pgbouncer
	touch $(PGBOUNCER)

demo: setup
	$(BIN)/watchfloor demo

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint
	$(BIN)/pytest -n auto

bench: setup
	$(BIN)/python -m benchmarks

picture: setup
	$(BIN)/python -m docs.picture

clean:
	rm -rf .venv $(EXAMPLES)/node_modules build *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
