# Each target sets up what it needs; nothing but Python 3.11+ (and make) has to be there.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
# torch is only needed for attribution; `make test TORCH=` goes without. A plain `torch` would pull CUDA.
TORCH  ?= torch==2.13.0
DEMO   ?= out/demo
JOBS   ?= 2
BACKTEST ?= out/backtest
SCALE  ?= 20000,60000,200000

.PHONY: demo test lint bench scale backtest backtest-full clean

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
	$(BIN)/codespell
	$(BIN)/deptry .

bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks

## scale: what a run costs against the requests of a day, and the last day of a week against the second; half an hour
scale: $(VENV)/.dev
	$(BIN)/python -m benchmarks.scale --requests $(SCALE) --stages

## backtest: the benchmark on synthetic worlds, about an hour on two cores; a stopped run goes on
backtest: $(VENV)/.core
	$(BIN)/hydrawatch backtest --work $(BACKTEST) --report $(BACKTEST)/report.html --json $(BACKTEST)/report.json \
	  --markdown $(BACKTEST)/report.md

## backtest-full: the same with every campaign at its published size and worlds of 0.1 % attackers; days, 64 GB
backtest-full: $(VENV)/.core
	$(BIN)/hydrawatch backtest --full --work $(BACKTEST) --report $(BACKTEST)/full.html --json $(BACKTEST)/full.json \
	  --markdown $(BACKTEST)/full.md

clean:
	rm -rf out $(VENV)
