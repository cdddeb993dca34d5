# Two commands on a fresh machine: `make run` and `make test`. They need Python ≥ 3.11 and make, nothing else.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet
AIRFLOW_VENV ?= .venv-airflow
AIRFLOW_PINS := apache-airflow==3.3.2 openlineage-python==1.54.0

.PHONY: run test dashboard api lint secrets image up dev down bench examples screenshots lock clean-env airflow airflow-env help

run: $(VENV)/.run  ## environment + main job on the embedded Postgres
	@$(BIN)/python main.py $(ARGS)

# More of them than processors: tests wait for disks, servers and browsers.
TESTERS = $(shell echo $$(( $$(getconf _NPROCESSORS_ONLN) * 3 / 2 )))

test: $(VENV)/.dev  ## all tests
	$(BIN)/python -m pytest -n $(TESTERS) --dist loadfile --no-loadscope-reorder $(ARGS)

dashboard: $(VENV)/.serve  ## the dashboard on http://localhost:8501: synthetic data, your own after signing in
	@$(BIN)/python main.py serve dashboard $(ARGS)

api: $(VENV)/.serve  ## the read API on http://localhost:8000
	@$(BIN)/python main.py serve api $(ARGS)

lint: $(VENV)/.dev  ## ruff, mypy, and what checks containers, workflows and secrets
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/hadolint Dockerfile
	$(BIN)/shellcheck entrypoint.sh .ci/run
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml docker-compose.dev.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	$(BIN)/check-jsonschema --schemafile tests/schemas/fly.json fly.toml
	$(BIN)/zizmor --offline --no-progress --quiet .github
	@if command -v actionlint > /dev/null; then actionlint; else echo "ACTIONLINT IS NOT INSTALLED: skipped." >&2; fi
	git ls-files -z -- $(SCANNED) | xargs -0 $(BIN)/detect-secrets-hook --baseline .secrets.baseline

secrets: $(VENV)/.dev  ## write down in .secrets.baseline what looks like a secret; whatever is new there, look at before you commit it
	git ls-files -z -- $(SCANNED) | xargs -0 $(BIN)/detect-secrets scan --slim > .secrets.baseline
	git diff --stat .secrets.baseline

bench: $(VENV)/.dev  ## measure: nothing to do, rows through the pipeline, the engine, bronze (docs/benchmarks.md)
	$(BIN)/python bench/noop.py $(ARGS)
	$(BIN)/python bench/pipeline.py $(ARGS)
	$(BIN)/python bench/sources.py $(ARGS)
	$(BIN)/python bench/connectors.py $(ARGS)
	$(BIN)/python bench/streams.py $(ARGS)
	$(BIN)/python bench/end_to_end.py $(ARGS)
	$(BIN)/python bench/engine.py $(ARGS)
	$(BIN)/python bench/bronze.py $(ARGS)
	$(BIN)/python bench/bronze_faults.py $(ARGS)
	$(BIN)/python bench/api.py $(ARGS)
	$(BIN)/python bench/dashboard.py $(ARGS)
	$(BIN)/python bench/state.py $(ARGS)

examples: $(VENV)/.run  ## write the shipped example exports anew, and the dashboard's synthetic tables from them
	$(BIN)/python scripts/generate_mock_data.py --out examples/inbox
	$(BIN)/python -m scripts.demo

screenshots: $(VENV)/.dev  ## photograph the dashboard for docs/img (needs Chromium)
	$(BIN)/python -m scripts.screenshots $(ARGS)

SCANNED := . ':!*.lock' ':!.secrets.baseline' ':!*.png' ':!*.svg' ':!*.parquet' ':!examples/inbox' ':!tests/schemas'

image: $(VENV)/.run  ## build the image, run a job, the API and the dashboard in it, measure (docker or podman)
	$(BIN)/python bench/image.py $(ARGS)

COMPOSE = PDP_UID=$$(id -u) PDP_GID=$$(id -g) docker compose --env-file .secrets/compose.env $(if $(wildcard .env),--env-file .env)

up: .secrets/compose.env  ## the platform in containers: worker, Postgres, API, dashboard (docs/deploy.md)
	@mkdir -p data/inbox && $(COMPOSE) $(ARGS) up --detach --build --wait
	@echo "Dashboard http://127.0.0.1:8501, API http://127.0.0.1:8000; its key is in .secrets/compose.env. make down stops it."

dev: .secrets/compose.env  ## the same with the code of this folder, reloaded when it changes
	@mkdir -p data/inbox && $(COMPOSE) -f docker-compose.yml -f docker-compose.dev.yml $(ARGS) up --build --watch

down: .secrets/compose.env  ## stop the containers; the data stays
	@$(COMPOSE) --profile monitoring --profile aws down $(ARGS)

.secrets/compose.env:
	@mkdir -p -m 0700 .secrets && umask 077 && { echo "POSTGRES_PASSWORD=$$(openssl rand -hex 24)"; echo "API_KEY=$$(openssl rand -hex 24)"; } > $@

LOCKED := uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate
RUN    := --extra aws --extra google --extra gold --extra remote --extra schedule
SERVE  := $(RUN) --extra api --extra dashboard

lock: $(VENV)/.dev  ## resolve the dependencies anew (needs uv): the widest set first, so that all three agree
	$(LOCKED) $(SERVE) --extra garmin --extra dev pyproject.toml -o requirements-dev.lock
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
