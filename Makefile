# Everything a fresh machine with make and Python needs: `make run` and `make test`. Which Python, and with it which of the
# two stacks, tools/environment.sh finds out; PYTHON=/path/to/python says it.
export PYTHON
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.synced
ROOT ?= out/simulated
CURRENT_ROOT ?= /var/tmp/dfei-debian-13

# Some shells and images set it; without bytecode every process compiles the packages it imports anew, for seconds.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help env run test test-slow test-current test-flink lint bench soak fuzz sbom docs pictures protos lock clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

env: $(STAMP) ## Create .venv from the lock of this machine's stack, and say which it is
	@cat $(STAMP)

$(STAMP): requirements.txt requirements-current.txt pyproject.toml tools/environment.sh
	@sh tools/environment.sh make $(VENV)

run: env ## Simulate a feed of 21 domains, train, judge and push DFEI; report in $(ROOT)/report.html
	$(BIN)/dfei run --dataset simulated --root $(ROOT)

test: env lint ## Linters, then every fast test
	$(BIN)/python -m pytest -n 2 --dist loadfile --durations=10 -m "not slow"

test-slow: env ## The checks that take minutes, two files at a time: whole pipelines, kills, all models
	$(BIN)/python -m pytest -n 2 --dist loadfile --durations=10 -m slow

test-current: ## The fast tests on the newer stack, in a root of Debian 13 (as root, with debootstrap; 20 minutes, 6 GB)
	@sh tools/current_root.sh $(CURRENT_ROOT) make test

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

SOAK_MINUTES ?= 60

soak: env ## A server under good, bad, slow and broken requests and new versions, SOAK_MINUTES (60) long
	$(BIN)/python -m benchmarks.soak --minutes $(SOAK_MINUTES)

FUZZ_RUNS ?= 20000
FUZZ = PYTHONPATH=out/atheris $(BIN)/python -m tools.fuzz

fuzz: env ## Readers of outside bytes under atheris, FUZZ_RUNS (20000) inputs each
	$(BIN)/uv pip install --quiet --target out/atheris --python $(BIN)/python "atheris>=3"
	$(FUZZ) csv -runs=$(FUZZ_RUNS) -max_len=4096 -timeout=60 -artifact_prefix=out/
	$(FUZZ) declaration -runs=$(FUZZ_RUNS) -max_len=8192 -timeout=60 -artifact_prefix=out/ -seed_inputs=schemas/simulated.yaml
	$(FUZZ) grpc -runs=$(FUZZ_RUNS) -max_len=4096 -timeout=60 -artifact_prefix=out/

sbom: env ## What the environment is made of, as sbom.cdx.json (CycloneDX), and whether all licences are allowed
	$(BIN)/uv tool run --from cyclonedx-bom==7.2.1 cyclonedx-py environment --no-validate --output-format JSON \
	  --output-file sbom.cdx.json $(BIN)/python
	$(BIN)/python tools/licences.py

docs: env ## Remake the pages of docs/ that are made from the code
	$(BIN)/python -m pipeline.reference

PICTURES ?= out/comparison

pictures: env ## Remake README's pictures (chromium): a drawing, and the first screens of $(ROOT) and of a comparison in $(PICTURES)
	$(BIN)/dfei run --dataset simulated --root $(ROOT)
	$(BIN)/dfei compare --dataset simulated --root $(PICTURES) --models dfei,mlp,mmoe,lightgbm
	$(BIN)/python tools/pictures.py --run $(ROOT) --comparison $(PICTURES) --out docs/pictures

protos: env ## Remake the descriptor sets (.binpb) from the .proto files beside them
	for proto in pipeline/client/serving pipeline/serving/configs pipeline/serving/health; do \
	  $(BIN)/python -m grpc_tools.protoc -I $$(dirname $$proto) --descriptor_set_out=$$proto.binpb $$(basename $$proto).proto || exit 1; done

COMPILE = $(BIN)/uv pip compile pyproject.toml --no-emit-index-url --no-emit-find-links \
  --custom-compile-command "make lock" --generate-hashes --quiet
OLDER = $(COMPILE) --python-version 3.11 --python-platform x86_64-manylinux_2_28
NEWER = $(COMPILE) --python-version 3.13 --python-platform x86_64-manylinux_2_39

lock: ## Remake the two locks, and the image's, from pyproject.toml
	@sh tools/environment.sh uv $(VENV)
	$(OLDER) --extra dev --output-file requirements.txt
	$(OLDER) --constraint requirements.txt --no-annotate --output-file kubeflow/requirements.txt
	$(COMPILE) --extra dev --python-version 3.12 --universal --output-file requirements-current.txt
	$(NEWER) --constraint requirements-current.txt --no-annotate \
	  --output-file kubeflow/requirements-current.txt

clean: ## Remove the environment and the output of make run
	rm -rf $(VENV) out
