# Every command of this project. `make` alone lists them; the first use of a command installs what it needs.

VENV    := .venv
PY      := $(VENV)/bin/python
FLASK   := $(PY) -m flask --app run
SERVES  := $(VENV)/.serves
CHECKS  := $(VENV)/.checks
ARGS    ?=
WORKERS ?= 2
PYTEST  := $(PY) -m pytest -n $(WORKERS) --dist worksteal

# The flask command would read .env, which is for containers, and `python run.py` would not.
export FLASK_SKIP_DOTENV := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help run worker replay chaos soak test coverage check fmt lock clean venv

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run worker: export FLASK_ENV ?= development
run worker: export HOST ?= 127.0.0.1
run worker: export PORT ?= 5000

run: $(SERVES)  ## the service on 127.0.0.1:5000 with demo stock (honours HOST, PORT, DATABASE_URL, REDIS_URL)
	@$(FLASK) db upgrade
	@$(FLASK) seed --if-empty
	@exec $(PY) run.py

worker: $(SERVES)  ## the background worker that expires reservations (needs DATABASE_URL and REDIS_URL)
	@exec $(FLASK) worker

replay: $(CHECKS)  ## every line of a real shop's order files through running services, checked to the unit
	@$(PY) -m tests.e2e.replay_all $(ARGS)

chaos: $(CHECKS)  ## faults from one seed under load for 3 minutes, then a separate checker (ARGS="--seed 7 --minutes 10")
	@$(PY) -m tests.chaos $(ARGS)

soak: $(CHECKS)  ## seven kinds of load for 6 minutes, each with its own rules (ARGS="--minutes 30 --seed 7 --rate 150")
	@$(PY) -m tests.soak $(ARGS)

test: $(CHECKS)  ## all tests, on SQLite and on real MariaDB and Redis (ARGS="-k expiry" for some of them)
	@$(PYTEST) $(ARGS)

coverage: $(CHECKS)  ## all tests, and which lines and branches none of them reaches
	@$(PYTEST) --cov $(ARGS)

check: $(CHECKS)  ## lint, format, types, layers, security, and the API document against the Swagger specification
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy
	@$(VENV)/bin/lint-imports --no-logo
	@$(PY) -m bandit --quiet --configfile pyproject.toml --recursive app database config.py run.py
	@$(PY) -m pytest -q tests/architecture

fmt: $(CHECKS)  ## put the code into its one format
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .

lock:  ## pin the newest allowed version of everything in requirements*.in (ARGS="-P flask" for one alone)
	@python=$$($(find_python)) && tools=$$(mktemp -d) && trap 'rm -rf "$$tools"' EXIT \
	&& "$$python" -m venv "$$tools" && "$$tools/bin/pip" install --quiet uv \
	&& for name in requirements requirements-dev; do \
	    "$$tools/bin/uv" pip compile --quiet --no-header --universal --python-version 3.11 \
	        $(or $(ARGS),--upgrade) $$name.in --output-file $$name.txt || exit 1; \
	done

clean:  ## remove the virtual environment and all caches; the database stays
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage .coverage.*
	find app database tests -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps: made again when a pinned version changes, so that every other run starts at once. A virtual
# environment whose Python has gone, with an upgrade of the system say, is made anew with everything in it.
NO_VENV := $(shell test -x $(PY) || echo venv)

$(SERVES): requirements.txt $(NO_VENV)
	@echo "Installing what the service runs on ..."
	@$(PY) -m pip install --quiet --requirement requirements.txt
	@touch $@

$(CHECKS): requirements.txt requirements-dev.txt $(NO_VENV)
	@echo "Installing what the service runs on and what checks it ..."
	@$(PY) -m pip install --quiet --requirement requirements-dev.txt
	@touch $(SERVES) $@

venv:
	@python=$$($(find_python)) && "$$python" -m venv --clear $(VENV)

# Prints the first Python that is new enough and able to make a virtual environment.
define find_python
for python in $(PYTHON) python3.11 python3.12 python3.13 python3.14 python3 python; do \
    if "$$python" -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
    then echo "$$python"; exit; fi; \
done; \
echo 'No Python 3.11 or newer that can make virtual environments was found.' >&2; \
echo 'Debian, Ubuntu: apt-get install python3 python3-venv. macOS: brew install python' >&2; \
echo 'Or name one that is elsewhere: make PYTHON=/path/to/python3 ...' >&2; exit 1
endef
