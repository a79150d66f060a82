PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
INSTALLED := $(VENV)/.installed
SERVICES := .venv-services

.PHONY: demo test test-quick lint format install clean

## Installs, renders and ingests the embedded data set, pretrains on it, evaluates and registers the encoder.
demo: $(INSTALLED)
	$(VENV)/bin/python jobs/pretrain.py

## All tests. The slow ones run one after the other: most of them start Ray, whose processes keep all cores busy.
test: test-quick
	$(VENV)/bin/python -m pytest -m slow

## What a change wants to know at once. Two processes share it, file by file.
test-quick: install
	$(VENV)/bin/python -m pytest -m "not slow" --numprocesses 2 --dist loadfile

lint: $(INSTALLED)
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/pyright

format: $(INSTALLED)
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

install: $(INSTALLED) $(SERVICES)/.installed

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

# What the tests start beside Ray: an object store.
$(SERVICES)/.installed: tests/services/requirements.txt
	$(PYTHON) -m venv $(SERVICES)
	$(SERVICES)/bin/python -m pip install --quiet --requirement tests/services/requirements.txt
	touch $@

clean:
	rm -rf $(VENV) $(SERVICES) .pytest_cache .ruff_cache
