# Each target sets up what it needs; nothing but Python 3.11+ (and make) has to be there.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
# torch is only needed for attribution; `make test TORCH=` goes without. A plain `torch` would pull CUDA.
TORCH  ?= torch==2.13.0
DEMO   ?= out/demo
JOBS   ?= 2

.PHONY: demo test lint bench backtest backtest-full test-system train clean

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip

$(VENV)/.core: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.core
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(TORCH) -e '.[dev]'
	@touch $@

## demo: install, run the main job on sample_logs/, show the alerts
demo: $(VENV)/.core
	@$(BIN)/hydrawatch demo --lake $(DEMO)

## test: install, pass the tests
test: $(VENV)/.dev
	$(BIN)/python -m pytest -n $(JOBS)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks

clean:
	rm -rf out $(VENV)
