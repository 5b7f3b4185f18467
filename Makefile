# The same few commands on a laptop and in CI.  Recipes that need more than a line live in tools/.
SHELL := /bin/bash
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.PHONY: help demo test test-slow benchmark check dev format lock-requirements clean

BIN := .venv/bin

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: dev ## the whole road of a release, on this machine
	@tools/with-engine tools/demo

# The tests of one file share what they made, so a file goes to one worker.
test: check ## checks, then every quick test; the pure packages at 100 % branch coverage
	@tools/with-engine $(BIN)/pytest -n 2 --dist loadfile -m "not slow" --cov --cov-report=term $(ARGS)

test-slow: dev ## the tests that build for minutes, such as every example twice, everything varied
	@tools/with-engine $(BIN)/pytest -n 2 --dist loadfile -m slow $(ARGS)

benchmark: dev ## speed as ratios against named peers; needs a finished `make demo`
	@tools/with-engine $(BIN)/python benchmarks/ratios.py $(ARGS)

check: dev ## lint, format, types, import direction
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

dev: ## install what is missing: system programs, .venv, relsign
	@tools/setup

format: dev ## rewrite the code as ruff wants it
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

lock-requirements: dev ## re-make requirements.lock from pyproject.toml
	@$(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes --group dev --all-extras \
	    --no-header --no-annotate --no-emit-index-url --no-emit-find-links \
	    --output-file requirements.lock pyproject.toml

clean: ## stop an engine that was left behind; remove out/, .venv and caches
	@tools/engine stop
	@rm -rf out .venv .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .hypothesis \
	    .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
