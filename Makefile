# make quickstart   pretrain, evaluate, plot and embed on the bundled genomes (no GPU needed)
# make test         lint, types, layers and every test
#
# Both set up .venv first, from the pinned versions in constraints.txt: the quickstart what the
# package needs, the tests the development tools too.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
TOOLS := $(VENV)/.tools
# Most of the ten thousand modules are never imported: each is compiled when it first is. Bytecode is
# kept, whatever an image says: without it each of the tests' processes, and there are a hundred,
# compiles PyTorch and Lightning again.
export PYTHONDONTWRITEBYTECODE :=
INSTALL := $(BIN)/python -m pip install --quiet --no-compile --constraint constraints.txt

.DEFAULT_GOAL := help
.PHONY: help setup quickstart test lint types layers format docs build wheels clean

help:  ## show this list
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(TOOLS)  ## create .venv with dnamamba and the development tools

# torch goes first and alone, so that a wheel already on the machine (a CPU build, say) serves
# and nothing that depends on torch pulls in another one. With the extra cpu the quickstart trains
# in nearly half the time.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "dnamamba needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1)."; \
	  echo "Name another one: make PYTHON=python3.12 setup"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(INSTALL) torch
	$(INSTALL) --editable '.[io,cpu]'
	touch $@

# pip knows the groups of pyproject.toml from 25.1 on.
$(TOOLS): $(READY)
	$(INSTALL) --upgrade "pip>=25.1"
	$(INSTALL) --group dev
	touch $@

# Without a GPU two processes share each batch: the operations of so small a model are short, and
# two threads of one process are hardly faster than one. The run stays the same.
SHARED := $(shell [ "$$(uname)" = Linux ] && ! command -v nvidia-smi >/dev/null && \
  echo --trainer.accelerator cpu --trainer.devices 2)

quickstart: $(READY)  ## the main job on the bundled genomes: a few minutes on 2 cores
	$(BIN)/dnamamba fit --config configs/quickstart.yaml $(SHARED)
	$(BIN)/dnamamba report runs/quickstart
	$(BIN)/dnamamba fit --config configs/quickstart-finetune.yaml $(SHARED)
	$(BIN)/dnamamba test --config configs/quickstart-finetune.yaml

# Over the cores, as a test hardly ever has more than one thread; a GPU serves one at a time.
SPREAD := $(shell command -v nvidia-smi >/dev/null || \
  echo --numprocesses logical --maxprocesses 8 --dist worksteal)

test: lint types layers  ## everything that CI checks
	$(BIN)/python -m pytest $(SPREAD)

lint: $(TOOLS)  ## ruff: style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(TOOLS)  ## mypy
	$(BIN)/mypy

layers: $(TOOLS)  ## import-linter: arrows run one way
	$(BIN)/lint-imports

format: $(TOOLS)  ## let ruff rewrite the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The tests build it, too, but without the notebooks' packages, their code unexecuted.
docs: $(TOOLS)  ## the documentation site into docs/build/, its notebooks executed
	$(INSTALL) --group notebooks
	$(BIN)/python -m sphinx -W --keep-going -q -t notebooks -d docs/build/doctrees docs docs/build/html

build: $(TOOLS)  ## wheel and sdist into dist/
	$(BIN)/python -m build --outdir dist

# The oldest and newest Python that there are, and those between, in environments of their own.
PYTHONS := $(foreach v,3.11 3.12 3.13,$(shell python$(v) -c 'import sys; print(sys.executable)' 2>/dev/null))

wheels: build  ## install the wheel on each Python 3.11 to 3.13 at hand, and look at it
	@for python in $(PYTHONS); do \
	  venv=dist/venv-$$(basename $$python); rm -rf $$venv; \
	  $$python -m venv $$venv && $$venv/bin/python -m pip install --quiet --no-compile torch && \
	  $$venv/bin/python -m pip install --quiet --no-compile dist/dnamamba-*.whl && \
	  (cd $$venv && bin/dnamamba --version && bin/dnamamba doctor) || exit 1; \
	done

clean:  ## remove the environment, runs and caches
	rm -rf $(VENV) dist docs/build runs data/cache .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
