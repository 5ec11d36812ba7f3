# Needs only Python (3.11 or newer) and make: each target first builds .venv, and rebuilds it when its inputs change.

PYTHON ?= python3
WORKERS ?= 2
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
# pyright's wrapper announces newer versions; ours is pinned.
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

.DEFAULT_GOAL := help
.PHONY: help demo test check format bench clean

help:  ## Show this list
	@sed -nE 's/^([a-z]+):.*## (.*)/make \1\t\2/p' $(MAKEFILE_LIST)

demo: .venv/.dev  ## Find a recipe for a small network on handwritten digits, in about a minute
	@study=$$(mktemp -d)/digits && $(BIN)/steepest tune digits-mlp --budget 45s --out $$study && $(BIN)/steepest report $$study

test: .venv/.dev  ## Run the tests
	$(BIN)/pytest --numprocesses $(WORKERS)

check: .venv/.dev  ## Everything: lint, format, types, layers, tests
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(MAKE) test

format: .venv/.dev  ## Format the code and mend what can be mended
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

bench: .venv/.bench  ## Measure every optimizer beside torch and other libraries
	$(BIN)/python bench/optimizers.py

clean:  ## Remove .venv and caches
	rm -rf .venv .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.dev: pyproject.toml constraints.txt
	@echo "setting up .venv (some minutes the first time)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(PIP) pip
	@$(PIP) --build-constraint constraints.txt --editable . --group dev
	@touch $@

.venv/.bench: .venv/.dev
	@$(PIP) --group bench
	@touch $@
