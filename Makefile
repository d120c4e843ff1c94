# Two commands do all the set-up: `make run` serves the chat, `make test` passes the tests.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
MINUTES ?= 30
# As many processes as there are cores share the tests, file after file; `make test ARGS=-n0` is one.
SHARED := -n auto --dist worksteal

.PHONY: run test check client client-tools fuzz mutants soak soak-cluster clean

run: $(VENV)/.installed
	cd examples && ../$(BIN)/python -m finch chat:app $(ARGS)

# With bytecode: the tests start hundreds of servers, and each would compile all modules again.
test: $(VENV)/.installed-test
	env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest $(SHARED) $(ARGS)

check: $(VENV)/.installed-check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/test_layers.py tests/test_mirror.py

# finch/static/finch.js and finch.global.js, from finch/static/src
client: client-tools
	npm run --silent --prefix tests/js build

# What builds and tests finch.js, and what the browser tests take from npm. No package may run a script here.
client-tools: tests/js/node_modules/.package-lock.json

tests/js/node_modules/.package-lock.json: tests/js/package-lock.json
	npm ci --prefix tests/js --ignore-scripts --no-audit --no-fund --silent
	touch $@

# make fuzz SECONDS=60 TARGET=head
SECONDS ?= 600
fuzz: $(VENV)/.installed-fuzz
	$(BIN)/python -m tests.fuzz $(TARGET) --seconds $(SECONDS)

# make mutants MODULE=finch/wire/head.py SAMPLE=100 SEED=1
mutants: $(VENV)/.installed-mutants
	nice $(BIN)/python -m tests.mutants $(MODULE) $(if $(SAMPLE),--sample $(SAMPLE)) $(if $(SEED),--seed $(SEED)) $(ARGS)

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Finch needs Python 3.11 or newer: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: setup.cfg pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

# Every other extra contains what the tests need, so that one installation is enough.
$(VENV)/.installed-%: setup.cfg pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[$*]'
	touch $(VENV)/.installed $(VENV)/.installed-test $@

soak: $(VENV)/.installed-test
	$(BIN)/python -m tests.soak --minutes $(MINUTES) $(ARGS)

# make soak-cluster DELIVERIES=1000000: several processes over one Redis, which are killed in turn
DELIVERIES ?= 1000000
soak-cluster: $(VENV)/.installed-test
	$(BIN)/python -m tests.soak.cluster --deliveries $(DELIVERIES) $(ARGS)

clean:
	rm -rf $(VENV) build dist *.egg-info
