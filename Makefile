# Each target sets up what it needs; nothing but Python 3.11+ (and make) has to be there.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
# torch is only needed for attribution; `make test TORCH=` goes without. A plain `torch` would pull CUDA.
TORCH  ?= torch==2.13.0
LOWEST ?= out/lowest
DEMO   ?= out/demo
JOBS   ?= 2
BACKTEST ?= out/backtest
SCALE  ?= 20000,60000,200000

.PHONY: demo test coverage lowest lint bench scale backtest backtest-full clean

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

## coverage: the tests once more, and what share of lines and branches they run
coverage: $(VENV)/.dev
	$(BIN)/python -m pytest -n $(JOBS) --cov --cov-report=term

## lowest: the tests with the lowest version that pyproject.toml allows of everything it names
lowest: $(LOWEST)/.dev
	$(LOWEST)/bin/python -m pytest -n $(JOBS) -W ignore::DeprecationWarning

# Of what is named only indirectly the newest is taken; old libraries warn of it. torch is not installed.
$(LOWEST)/.dev: pyproject.toml
	$(PYTHON) -m venv $(LOWEST)
	$(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check uv
	$(LOWEST)/bin/uv pip compile --quiet --upgrade --resolution lowest-direct -o $(LOWEST)/lowest.txt pyproject.toml
	$(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check -c $(LOWEST)/lowest.txt -e '.[dev]'
	@touch $@

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
