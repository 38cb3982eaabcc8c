# Everything sets itself up in .venv on its first run; see scripts/bootstrap.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test test-fast lint format bench docs translations lock clean dev

BIN := .venv/bin
# A database other than the demo's own SQLite file: make demo DATABASE_URL=postgresql://…
DATABASE_URL ?=
# Seeds of the deterministic simulation; CI takes more.
BORNE_SEEDS ?= 100
# More words for the program behind a target: make test ARGS="-k restart"
ARGS ?=
WORKERS ?= 2
LOCALE := src/borne/portal/locale
export BORNE_SEEDS

help: ## show what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-13s %s\n", $$1, $$2}' Makefile

demo: ## start Borne with simulated chargers on 127.0.0.1:8080 (DATABASE_URL=... for PostgreSQL)
	@scripts/bootstrap run
	@$(if $(DATABASE_URL),BORNE_DATABASE_URL='$(DATABASE_URL)') exec $(BIN)/borne demo $(ARGS)

test: lint ## run all checks and tests, the browser's and the simulation's too (BORNE_SEEDS=100, ARGS=...)
	@scripts/install-chromium
	@$(BIN)/pytest -n $(WORKERS) --maxschedchunk 4 $(ARGS)

test-fast: dev ## run the tests that take no browser and no simulation
	@$(BIN)/pytest -n $(WORKERS) -m 'not slow' --ignore tests/browser --ignore tests/sim $(ARGS)

lint: dev ## check style, types, the rings' imports and that statements keep to one organisation
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet || { echo "run: make format" >&2; exit 1; }
	@$(BIN)/mypy --no-error-summary
	@report=$$($(BIN)/lint-imports --no-logo) || { echo "$$report"; exit 1; }
	@$(BIN)/python -m tests.support.tenancy_lint

format: dev ## put the code into its form
	@$(BIN)/ruff check --quiet --fix
	@$(BIN)/ruff format --quiet

bench: dev ## measure speed and memory beside an obvious server
	@$(BIN)/python -m bench $(ARGS)

docs: dev ## draw the states of a restart anew from the code
	@$(BIN)/python scripts/state_diagram.py

translations: dev ## collect the words for people and merge them into each language
	@mkdir -p build
	@$(BIN)/pybabel -q extract -F babel.cfg -k N_ -c "L10n:" --project Borne --no-location --sort-by-file -o build/borne.pot src
	@$(BIN)/pybabel -q update -i build/borne.pot -d $(LOCALE) -D borne --no-fuzzy-matching --ignore-obsolete --omit-header --no-wrap

lock: dev ## write the lock files anew (UPGRADE=1 for the newest versions)
	@UPGRADE=$(UPGRADE) scripts/lock

clean: ## remove the environment, caches and what runs left behind
	@rm -rf .venv .bench build dist var test-results .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	@find src tests bench -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

dev:
	@scripts/bootstrap dev
