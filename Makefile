# Everything below sets itself up: it needs Python 3.11 or newer as python3 (or PYTHON=…), and nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
OLDEST := .venv-oldest
OLDEST_READY := $(OLDEST)/.ready

.PHONY: demo test test-oldest lint format bench bench-rates bench-limits bench-memory bench-growth bench-flame chaos docs lock clean

demo: $(READY)  ## replicate an invented brand into iterable.duckdb
	$(BIN)/reiterate demo

test: $(READY) $(OLDEST_READY)  ## the whole test suite
	$(BIN)/pytest -n 2 --dist worksteal
	$(MAKE) test-oldest

test-oldest: $(OLDEST_READY)  ## DuckLake, and what depends on DuckDB, with the oldest DuckDB that is taken
	$(OLDEST)/bin/pytest -n 2 --dist worksteal -m "ducklake or oldest"

lint: $(READY)  ## format, lint, types, rooms
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY)
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

SCALE ?= 1
RUNS ?= 3
MEASURE = $(BIN)/python -m benchmarks --scale $(SCALE) --runs $(RUNS)

bench: $(READY)  ## all figures of benchmarks/RESULTS.md, about 40 minutes; a smaller SCALE, as 0.1, only prints
	$(MEASURE)

bench-rates: $(READY)  ## of these: rows a second, the floor, the peers, start-up
	$(MEASURE) startup throughput peers

bench-limits: $(READY)  ## under Iterable's limits, by a scaled clock
	$(MEASURE) limits

bench-memory: $(READY)  ## 20 million events in one window, 15 GB of disk
	$(MEASURE) memory

bench-growth: $(READY)  ## 20 million events into one table, a million at a time
	$(MEASURE) growth

bench-flame: $(READY)  ## where the time goes, as benchmarks/flame.svg
	$(MEASURE) flame

chaos: $(READY) $(OLDEST_READY)  ## kills into every destination, 200 seeds of faults, kills, wrong clocks and merges: half an hour
	$(BIN)/pytest -n 2 -k kills --kills 10
	$(OLDEST)/bin/pytest -n 2 -k kills --kills 10 -m ducklake
	$(BIN)/python -m tests.chaos --seeds 200

docs: $(READY)  ## renew docs/tables.md from the catalog
	$(BIN)/python docs/generate.py

$(READY): requirements-dev.txt
$(OLDEST_READY): requirements-oldest.txt

%/.ready: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Reiterate needs Python 3.11 or newer")'
	$(PYTHON) -m venv $*
	$*/bin/pip install --quiet --disable-pip-version-check --require-hashes -r $(filter requirements-%,$^)
	$*/bin/pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	--custom-compile-command "make lock" pyproject.toml

lock: $(READY)  ## renew the files of exact versions and their hashes from pyproject.toml
	$(BIN)/python -m pip install --quiet uv
	$(COMPILE) --extra dev --output-file requirements-dev.txt
	cp requirements-dev.txt requirements-oldest.txt  # the same versions, but of DuckDB
	$(COMPILE) --extra dev --extra oldest --upgrade-package duckdb --output-file requirements-oldest.txt
	cp requirements-dev.txt requirements.txt  # the same versions, for the container
	$(COMPILE) --extra postgres --extra delta --extra iceberg --output-file requirements.txt

clean:
	rm -rf $(VENV) $(OLDEST) .bench .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis build dist
