# Each target makes what it needs on a machine that has only Python, pip and make; a second call reuses it.
PYTHON ?= python3
VENV   ?= .venv
PEERS  ?= .venv-peers
ROUNDS ?= 7
BIN    := $(VENV)/bin

# One thread for each test process: the processes already share the cores.
PYTEST := OMP_NUM_THREADS=1 MPLBACKEND=Agg $(BIN)/python -m pytest

.PHONY: help demo test faults audit lint format names map nbs docs pretrain pictures bench bench-finetune clean

help:  ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## */\1|/' | awk -F'|' '{printf "  make %-15s %s\n", $$1, $$2}'

# `.venv/.base` is laminar with what it needs, `.venv/.dev` and `.venv/.docs` add an extra. Made anew when pyproject.toml changes.
$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.base: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/.dev $(VENV)/.docs: $(VENV)/.%: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable ".[$*]"
	@touch $@

demo: $(VENV)/.base  ## fine-tune the embedded network on embedded data, offline (ARGS="--data FOLDER ..." for your own)
	$(BIN)/python -m laminar.demo $(ARGS)

test: $(VENV)/.dev  ## all tests (ARGS="tests/core -k name" for some)
	$(PYTEST) -n 2 $(ARGS)

faults: $(VENV)/.dev  ## kill trainings 200 times, let them run into all sorts of accidents, and for long; a quarter of an hour
	LAMINAR_KILLS=200 LAMINAR_FITS=200 LAMINAR_BATCHES=20000 $(PYTEST) -s tests/faults $(ARGS)

lint: $(VENV)/.dev  ## formatting, lint, types, direction of imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

audit: $(VENV)/.dev  ## known weaknesses of the installed packages (asks the registry's service)
	$(BIN)/python -m pip install --quiet "pip-audit>=2.7,<3"
	$(BIN)/pip-audit --skip-editable --progress-spinner off

format: $(VENV)/.dev  ## mend formatting and what ruff can mend by itself
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

names: $(VENV)/.dev  ## write the list of public names anew, for the diff to show
	$(BIN)/python tests/test_public_names.py

map:  ## which file is for what, in its own words
	@$(PYTHON) scripts/code_map.py

nbs: $(VENV)/.dev  ## run every notebook from top to bottom, two at a time
	ls nbs/*.ipynb | OMP_NUM_THREADS=1 xargs -n 1 -P 2 $(BIN)/jupyter-execute --timeout=300 --kernel_name=python3 $(ARGS)

docs: $(VENV)/.docs  ## build the pages into site/, any warning is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

pretrain: $(VENV)/.base  ## train the embedded network anew, by the script that made it
	$(BIN)/python scripts/pretrain.py $(ARGS)

pictures: $(VENV)/.dev  ## draw the guide's pictures anew
	$(BIN)/python scripts/draw_augmentations.py

# Peers live in an environment of their own and are never dependencies.
$(PEERS)/.ready: pyproject.toml benchmarks/requirements.txt
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --requirement benchmarks/requirements.txt --editable .
	@touch $@

bench: $(PEERS)/.ready  ## loop, items, augmentation, import time ... beside the peers (ROUNDS=7; DATA=photos SMALL=pictures: folder or archive)
	$(PEERS)/bin/python benchmarks/loop.py --rounds $(ROUNDS)
	$(PEERS)/bin/python benchmarks/callbacks.py --rounds $(ROUNDS)
	$(PEERS)/bin/python benchmarks/items.py --rounds $(ROUNDS) --data "$(DATA)"
	$(PEERS)/bin/python benchmarks/imports.py --rounds $(ROUNDS)
	$(PEERS)/bin/python benchmarks/randomness.py --rounds $(ROUNDS)
	$(PEERS)/bin/python benchmarks/arrays.py --rounds $(ROUNDS)
	$(PEERS)/bin/python benchmarks/loaders.py --rounds $(ROUNDS)
	$(PEERS)/bin/python benchmarks/text.py --rounds $(ROUNDS) --data "$(TEXTS)"
	$(PEERS)/bin/python benchmarks/telemetry.py --rounds $(ROUNDS)
	$(PEERS)/bin/python benchmarks/text_models.py --rounds $(ROUNDS)
	$(PEERS)/bin/python benchmarks/augment.py --rounds $(ROUNDS)
	$(PEERS)/bin/python benchmarks/predict.py --rounds $(ROUNDS)
	$(PEERS)/bin/python benchmarks/small_pictures.py --data "$(SMALL)"

bench-finetune: $(PEERS)/.ready  ## fine-tuning beside fastai (DATA=folder or archive, WEIGHTS=file.safetensors, ARGS="--size 160")
	$(PEERS)/bin/python benchmarks/finetune.py --data "$(DATA)" --weights "$(WEIGHTS)" $(ARGS)

clean:  ## remove the environments and everything built
	rm -rf $(VENV) $(PEERS) build dist site .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
