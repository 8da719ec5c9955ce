# Everything a fresh machine with Python 3.11 and make needs: `make run` and `make test`.
PYTHON ?= python3.11
VENV := .venv
UV_VERSION := 0.13.9
BIN := $(VENV)/bin
STAMP := $(VENV)/.synced
ROOT ?= out/simulated

.PHONY: help env run test test-slow test-flink lint bench docs lock clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

env: $(STAMP) ## Create .venv from requirements.txt

$(STAMP): requirements.txt pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) not found: install Python 3.11 or name it: make PYTHON=/path/to/python3.11"; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(BIN)/uv pip sync --quiet --python $(BIN)/python requirements.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $(STAMP)

run: env ## Simulate a feed of 21 domains, train, judge and push DFEI; report in $(ROOT)/report.html
	$(BIN)/dfei run --dataset simulated --root $(ROOT)

test: env lint ## Linters, then every fast test
	$(BIN)/python -m pytest -n 2 --dist loadfile --durations=10 -m "not slow"

test-slow: env ## The checks that take minutes, two files at a time: whole pipelines, kills, all models
	$(BIN)/python -m pytest -n 2 --dist loadfile --durations=10 -m slow

test-flink: env ## The Beam components on a Flink cluster of this machine (Java, Maven; FLINK_JOB_SERVER_JAR, FLINK_HOME)
	DFEI_TEST_FLINK=1 $(BIN)/python -m pytest tests/engines/test_flink.py

lint: env ## ruff, mypy, and which folder may import which
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

bench: env ## Training speed by number of domains and by model, and the local run against a stock TFX pipeline
	$(BIN)/python -m benchmarks.training
	$(BIN)/python -m benchmarks.models
	$(BIN)/python -m benchmarks.local_run

docs: env ## Remake the pages of docs/ that are made from the code
	$(BIN)/python -m pipeline.reference

lock: ## Remake requirements.txt from pyproject.toml
	test -x $(BIN)/uv || { $(PYTHON) -m venv $(VENV) && $(BIN)/python -m pip install --quiet uv==$(UV_VERSION); }
	$(BIN)/uv pip compile pyproject.toml --extra dev --python-version 3.11 --no-emit-index-url --no-emit-find-links \
	  --custom-compile-command "make lock" --quiet --output-file requirements.txt
	$(BIN)/uv pip compile pyproject.toml --constraint requirements.txt --python-version 3.11 --no-emit-index-url \
	  --no-emit-find-links --no-annotate --custom-compile-command "make lock" --quiet --output-file kubeflow/requirements.txt

clean: ## Remove the environment and the output of make run
	rm -rf $(VENV) out
