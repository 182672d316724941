# Everything runs from .venv, which the first target that needs it makes from requirements.lock.
# `make` or `make help` lists what there is.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest
# Tests of two files at a time, because they wait as much as they compute; ARGS="-n 0" runs them one by one.
BESIDE := -n 2 --no-loadscope-reorder
.DEFAULT_GOAL := help
.PHONY: help demo lab test tools check fuzz soak bench clean

#? help: this list
help:
	@sed -n 's/^#? /  make /p' $(MAKEFILE_LIST)

$(VENV)/.made: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "the venv module is missing; on Debian: apt-get install python3-venv"; exit 1; }
	@echo "installing the packages of requirements.lock into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

#? demo: a load balancer with three demo servers on this machine, curl lines to try
demo: $(VENV)/.made
	@$(BIN)/pylb demo

#? lab: three masters with a virtual address, three workers, clients, on this terminal; keys start what goes wrong
lab: $(VENV)/.made
	@$(BIN)/python -m bench.lab $(ARGS)

#? test: install what the tests need, run them all
test: tools $(VENV)/.made
	@$(PYTEST) -m "not soak and not fuzz" $(BESIDE) $(ARGS)

# The real programs that the tests compare with. Without root they are not installed, and what needs them is skipped
# (in CI: fails).
TOOLS := haproxy:haproxy nginx:nginx-light keepalived:keepalived wrk:wrk rsyslogd:rsyslog curl:curl socat:socat \
	chromium:chromium ip:iproute2 killall:psmisc tcpdump:tcpdump openssl:openssl pgrep:procps \
	systemd-analyze:systemd logrotate:logrotate prometheus:prometheus /usr/lib/frr/zebra:frr \
	hatop:hatop tmux:tmux
tools:
	@missing=; for pair in $(TOOLS); do \
		PATH="$$PATH:/usr/sbin:/sbin" command -v "$${pair%%:*}" >/dev/null || missing="$$missing $${pair##*:}"; done; \
	if [ -z "$$missing" ]; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "installing for the tests:$$missing"; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	else echo "not installed, so tests beside them are skipped:$$missing"; fi

#? check: ruff (lint and format) and strict mypy
check: $(VENV)/.made
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

#? fuzz: the parsers under a million random inputs each, every random test with fifty times as many examples
fuzz: $(VENV)/.made
	@EXAMPLES=15 $(PYTEST) -m "fuzz or hypothesis" --timeout 3600 $(ARGS)

#? soak: the long runs beside the real programs
soak: tools $(VENV)/.made
	@$(PYTEST) -m soak --timeout 3600 $(ARGS)

#? bench: pylb beside haproxy, nginx and Python proxies, vrrpd beside keepalived; results in bench/results
bench: tools $(VENV)/.made
	@$(BIN)/python -m bench $(ARGS)

#? clean: remove the virtual environment and caches
clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis build *.egg-info
