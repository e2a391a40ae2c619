# Each target does everything it needs by itself, and again in seconds without a network.

PYTHON ?= python3
BIN := .venv/bin
ARGS ?=
# A CPU-only build of torch saves about 2 GB on Linux: make run TORCH_INDEX=https://download.pytorch.org/whl/cpu
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt \
	$(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))

.PHONY: help setup run test soak lint format bench docs clean

help:  ## show this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

setup: .venv/.installed  ## make .venv with the facestream command in it

run: setup  ## serve the demo video (or: make run ARGS="webcam:0")
	@$(BIN)/facestream serve $(ARGS)

test: .venv/.developed  ## run the tests
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadfile $(ARGS)

soak: .venv/.developed  ## run the tests with the long ones in full
	@FACESTREAM_FULL=1 $(BIN)/python -m pytest --timeout=3600 $(ARGS)

lint: .venv/.developed  ## check style and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@ln -sfn "$(CURDIR)" .venv/src/facestream
	@cd .venv/src && MYPYPATH=. ../bin/mypy --config-file facestream/pyproject.toml --cache-dir ../.mypy_cache -p facestream

format: .venv/.developed  ## format the code
	@$(BIN)/ruff check --fix --quiet .
	@$(BIN)/ruff format .

bench: .venv/.developed  ## measure; prints tables, writes bench/results/*.json
	@$(BIN)/python bench/run.py $(ARGS)

docs: .venv/.developed  ## regenerate what is generated in docs/
	@$(BIN)/python -m facestream.serving.schema
	@$(BIN)/python -m facestream.config_text

clean:  ## remove everything that make made
	rm -rf .venv build *.egg-info .pytest_cache .ruff_cache .hypothesis bench/results

.venv/bin/python:
	@echo "making .venv …"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "facestream needs Python 3.11 or newer; try: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv .venv

.venv/.installed: .venv/bin/python pyproject.toml constraints.txt
	@echo "installing facestream and what it needs (torch is large: this can take some minutes) …"
	@$(PIP) --editable '.[openvino]'
	@touch $@

.venv/.developed: .venv/.installed
	@echo "installing what the tests need …"
	@$(PIP) --editable '.[dev,openvino]'
	@mkdir -p .venv/src
	@touch $@
