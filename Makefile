# The same commands on a laptop, in the pre-commit hook and in CI. `make` alone lists them.
VENV   := .venv
BIN    := $(VENV)/bin
PYTHON ?= python3
QUIET  := $(shell test -t 2 || echo --quiet) # pip draws its progress for a person, not into a log
# Tests of one file stay in one process, because they share what takes long to make; in the order of tests/conftest.py.
CORES  := -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder
# The workers share the cores: threads of linear algebra in each would only be in each other's way.
ALONE  := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
export MLFLOW_DISABLE_TELEMETRY = true
export DO_NOT_TRACK = true

.DEFAULT_GOAL := help
.PHONY: help setup engines demo test test-slow docs check format lock bench bench-full clean

help: ## list the commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

setup: $(VENV)/.ready ## make the locked environment in .venv (every other command does it for you)

$(VENV)/.ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; assert (3, 11) <= sys.version_info < (3, 14), f"Python 3.11 to 3.13 is needed, found {sys.version.split()[0]}: run make PYTHON=python3.12"'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the locked environment into $(VENV) (a few minutes the first time)"
	@$(BIN)/python -m pip install $(QUIET) --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

engines: $(VENV)/.engines ## add what Postgres and Spark need (Spark is a download of 450 MB, and needs Java 17)

$(VENV)/.engines: requirements-engines.lock $(VENV)/.ready
	@echo "Installing the extras postgres and spark into $(VENV)"
	@$(BIN)/python -m pip install $(QUIET) --disable-pip-version-check --require-hashes -r requirements-engines.lock
	@touch $@

demo: setup ## simulate a company and run the whole platform on it, in build/demo
	@$(BIN)/milestones demo build/demo

test: setup ## the test suite
	@$(ALONE) $(BIN)/python -m pytest -m "not slow" $(CORES)

test-slow: setup ## the tests that take minutes
	@$(ALONE) $(BIN)/python -m pytest -m slow $(CORES)

docs: setup ## write docs/features.md from the catalogue
	@$(BIN)/python -m tests.features_page > docs/features.md

check: setup ## format, lint, types, import layers, lock
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python -m tests.lock_is_current
	@$(BIN)/python -m pip check --disable-pip-version-check

format: setup ## rewrite the code in the house format
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

lock: setup ## resolve both locks anew from pyproject.toml
	@$(BIN)/uv pip compile --quiet --system-certs --universal --generate-hashes --no-header --no-emit-index-url --group dev pyproject.toml -o requirements.lock
	@$(BIN)/uv pip compile --quiet --system-certs --universal --generate-hashes --no-header --no-emit-index-url --constraint requirements.lock --extra postgres --extra spark pyproject.toml -o requirements-engines.lock

bench: setup ## measure, side by side, into build/bench.json
	@$(BIN)/python -m tests.benchmarks

bench-full: setup ## the same at full size, without limit of time
	@$(BIN)/python -m tests.benchmarks --full

clean: ## remove what was built (not the environment)
	@rm -rf build .mypy_cache .ruff_cache .pytest_cache .hypothesis
