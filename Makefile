# The commands of daily work; `make` lists them. `make run` and `make test` need nothing done before.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip --disable-pip-version-check --quiet
CONSTRAINTS := docker/constraints.txt
PACKAGES := accounts dtq_site scheduling tasks workers

.DEFAULT_GOAL := help
.PHONY: help run install test test-long chaos bench load lint types migrations coverage watch format configuration schema drawings screenshots clean

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(VENV)/.installed ## Run API, worker and scheduler on one screen; Ctrl-C ends all
	@exec $(BIN)/python manage.py dev

install: $(VENV)/.installed ## Make the Python environment in .venv

test: $(VENV)/.installed-for-tests ## Lint, types, contracts, and the tests on both backings
	@$(BIN)/python -m tests.support.checks all

test-long: $(VENV)/.installed-for-tests ## The tests that take minutes
	@$(BIN)/python -m tests.support.checks long

SEED ?= 7
TASKS ?= 20000
SECONDS ?= 120

chaos: $(VENV)/.installed-for-tests ## Real processes under fire, then a tally of the promises: make chaos SEED=7 TASKS=20000 SECONDS=120
	@$(BIN)/python -m tests.chaos.run --seed $(SEED) --tasks $(TASKS) --seconds $(SECONDS)

bench: $(VENV)/.installed-for-tests ## Measure DTQ beside Celery, Dramatiq and Huey; a part: make bench BENCH="drain pickup"
	@exec $(BIN)/python -m tests.benchmarks $(BENCH)

load: $(VENV)/.installed-for-tests ## Put an installation under load and write a report to var/load/; a part: make load LOAD="followed steady"
	@exec $(BIN)/python -m tests.load $(LOAD)

lint: $(VENV)/.installed-for-tests ## Style, format and import contracts
	@$(BIN)/python -m tests.support.checks lint

types: $(VENV)/.installed-for-tests ## Types of the pure rooms
	@$(BIN)/python -m tests.support.checks types

migrations: $(VENV)/.installed-for-tests ## Whether a migration is missing
	@$(BIN)/python -m tests.support.checks migrations

coverage: $(VENV)/.installed-for-tests ## Tests on SQLite with a report of what they did not reach (htmlcov/)
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest -q -n 4 --dist loadfile --no-loadscope-reorder; code=$$?; \
	$(BIN)/coverage combine -q; $(BIN)/coverage html -q; $(BIN)/coverage report; exit $$code

watch: $(VENV)/.installed-for-tests ## Run the tests on SQLite again after every change
	@exec $(BIN)/watchfiles --filter python "$(BIN)/python -m pytest -q -x --failed-first" $(PACKAGES) tests

format: $(VENV)/.installed-for-tests ## Put the code into the one format
	@$(BIN)/ruff check --fix-only --quiet; $(BIN)/ruff format

configuration: $(VENV)/.installed ## Write docs/CONFIGURATION.md and .env.example from the declarations
	@$(BIN)/python manage.py configuration --markdown > docs/CONFIGURATION.md
	@$(BIN)/python manage.py configuration --env > .env.example

schema: $(VENV)/.installed ## Write docs/schema.graphql and docs/GRAPHQL-SCHEMA.md from the schema
	@$(BIN)/python manage.py graphql_schema > docs/schema.graphql
	@$(BIN)/python manage.py graphql_schema --markdown > docs/GRAPHQL-SCHEMA.md

drawings: $(VENV)/.installed-for-tests ## Draw in the pages what is drawn from the code
	@$(BIN)/python -m tests.support.drawings

screenshots: $(VENV)/.installed-for-tests ## Take the pictures of the README anew (docs/images/); needs Chromium
	@$(BIN)/python -m tests.conformance.screenshots

clean: ## Remove the environment and what the tools have left (not var/)
	rm -rf $(VENV) htmlcov .coverage* .mypy_cache .pytest_cache .ruff_cache .import_linter_cache *.egg-info

# A stamp is older than what it was made from, or it is there: a second call costs nothing.

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	    echo "DTQ needs Python 3.11 or later as $(PYTHON); name another one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	    echo "$(PYTHON) has no venv module; install it: sudo apt-get install python3-venv" >&2; exit 1; }
	@echo "Making the Python environment in $(VENV)"
	@[ -w . ] || { echo "This folder cannot be written, and DTQ keeps its environment in it: make it yours, or clone into one that is" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed: $(VENV)/.made pyproject.toml $(CONSTRAINTS)
	@echo "Installing DTQ into $(VENV); this takes a minute"
	@$(PIP) install -c $(CONSTRAINTS) -e '.[server]'
	@touch $@

CLIENTS := $(addprefix tests/conformance/,package.json package-lock.json gql.txt django.txt)

$(VENV)/.installed-for-tests: $(VENV)/.installed tests/support/install-packages $(CLIENTS)
	@tests/support/install-packages $(abspath $(BIN)/python)
	@echo "Installing what the tests need into $(VENV)"
	@$(PIP) install -c $(CONSTRAINTS) -e '.[server,mysql,django-tasks,examples,otel,load,dev]'
	@$(BIN)/python -m tests.support.node_packages
	@$(BIN)/python -m tests.support.gql_environment
	@$(BIN)/python -m tests.support.django_environment
	@touch $@
