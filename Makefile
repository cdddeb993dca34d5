# Two commands on a fresh machine: `make run` and `make test`. They need Python ≥ 3.11 and make, nothing else.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet
AIRFLOW_VENV ?= .venv-airflow
AIRFLOW_PINS := apache-airflow==3.3.2 openlineage-python==1.54.0

.PHONY: run test dashboard api lint bench examples screenshots lock clean-env airflow airflow-env help

run: $(VENV)/.run  ## environment + main job on the embedded Postgres
	@$(BIN)/python main.py $(ARGS)

test: $(VENV)/.dev  ## all tests
	$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder $(ARGS)

dashboard: $(VENV)/.serve  ## the dashboard on http://localhost:8501: synthetic data, your own after signing in
	@$(BIN)/python main.py serve dashboard $(ARGS)

api: $(VENV)/.serve  ## the read API on http://localhost:8000
	@$(BIN)/python main.py serve api $(ARGS)

lint: $(VENV)/.dev  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.dev  ## measure: nothing to do, rows through the pipeline, the engine, bronze (docs/benchmarks.md)
	$(BIN)/python bench/noop.py $(ARGS)
	$(BIN)/python bench/pipeline.py $(ARGS)
	$(BIN)/python bench/engine.py $(ARGS)
	$(BIN)/python bench/bronze.py $(ARGS)
	$(BIN)/python bench/bronze_faults.py $(ARGS)
	$(BIN)/python bench/api.py $(ARGS)
	$(BIN)/python bench/dashboard.py $(ARGS)

examples: $(VENV)/.run  ## write the shipped example exports anew, and the dashboard's synthetic tables from them
	$(BIN)/python scripts/generate_mock_data.py --out examples/inbox
	$(BIN)/python -m scripts.demo

screenshots: $(VENV)/.dev  ## photograph the dashboard for docs/img (needs Chromium)
	$(BIN)/python -m scripts.screenshots $(ARGS)

LOCKED := uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate
RUN    := --extra google --extra gold --extra remote --extra schedule
SERVE  := $(RUN) --extra api --extra dashboard

lock: $(VENV)/.dev  ## resolve the dependencies anew (needs uv): the widest set first, so that all three agree
	$(LOCKED) $(SERVE) --extra dev pyproject.toml -o requirements-dev.lock
	$(LOCKED) $(SERVE) -c requirements-dev.lock pyproject.toml -o requirements-serve.lock
	$(LOCKED) $(RUN) -c requirements-serve.lock pyproject.toml -o requirements.lock

airflow: $(VENV)/.dev airflow-env  ## load the Airflow DAG in Airflow's own environment
	PDP_AIRFLOW_PYTHON=$(AIRFLOW_VENV)/bin/python $(BIN)/python -m pytest tests/test_airflow_dag.py tests/test_openlineage.py $(ARGS)

airflow-env: $(AIRFLOW_VENV)/.installed  ## make that environment (Airflow, OpenLineage's client; nothing of ours)

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "PDP needs Python 3.11 or newer. Name one: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 2; }
	@echo "Making the environment in $(VENV) …"
	@$(PYTHON) -m venv $(VENV)

$(AIRFLOW_VENV)/.installed:
	@$(PYTHON) -m venv $(AIRFLOW_VENV)
	@if command -v uv > /dev/null; then uv pip install --quiet --python $(AIRFLOW_VENV)/bin/python $(AIRFLOW_PINS); \
	  else $(AIRFLOW_VENV)/bin/python -m pip --disable-pip-version-check --quiet install $(AIRFLOW_PINS); fi
	@touch $@

$(VENV)/.run: requirements.lock | $(VENV)/bin/python
	@$(PIP) install --require-hashes -r requirements.lock
	@touch $@

$(VENV)/.serve: requirements-serve.lock | $(VENV)/bin/python
	@$(PIP) install --require-hashes -r requirements-serve.lock
	@touch $@ $(VENV)/.run

$(VENV)/.dev: requirements-dev.lock | $(VENV)/bin/python
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@ $(VENV)/.run $(VENV)/.serve
