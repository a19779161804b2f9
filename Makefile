# make app     install what is missing into .venv and open the app (PORT=8600 picks a port)
# make test    the tests, on all cores (ARGS="-n0 -k words" picks one process and some tests); those
#              in a browser need Chromium and are skipped without it
# make test-quick   what an edit needs, in a minute: nothing in a browser, nothing marked slow
# make check   style, types and import rules
# make zoo     train every network that comes with the project (ARGS="NAME …" picks some), as far as
#              it is not done: days on one core; stopped, it goes on where it was
# make clean   remove the environment and the caches, never data, runs or checkpoints

VENV ?= .venv
PY := $(VENV)/bin/python
# A file of tests is one process's, so that what it makes once is made once; the order is tests/'s.
WORKERS := -n auto --dist loadfile --no-loadscope-reorder --durations 10
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: app test test-quick check zoo clean

app: $(VENV)/installed-app
	@$(PY) -m streamlit run app.py $(if $(PORT),--server.port $(PORT))

test: $(VENV)/installed-dev
	@$(PY) -m pytest $(WORKERS) $(ARGS)

test-quick: $(VENV)/installed-dev
	@$(PY) -m pytest $(WORKERS) -m "not browser and not slow" $(ARGS)

check: $(VENV)/installed-dev
	@$(PY) -m ruff check --quiet .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy --no-error-summary
	@$(VENV)/bin/lint-imports --no-logo

zoo: $(VENV)/installed-app
	@$(PY) -m cnnviz zoo $(ARGS)

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -not -path './data/*' -prune -exec rm -rf {} +

# The stamps are newer than the requirements once everything is installed, so that a second
# `make app` asks pip nothing.
$(VENV)/installed-dev: requirements.txt requirements-dev.txt $(VENV)/made
	@echo "Installing the app, its tests and checks into $(VENV) (the first time takes minutes) …" >&2
	@$(PY) -m pip install -qq -r requirements-dev.txt
	@touch $(VENV)/installed-app $@

$(VENV)/installed-app: requirements.txt $(VENV)/made
	@echo "Installing the app into $(VENV) (the first time takes minutes) …" >&2
	@$(PY) -m pip install -qq -r requirements.txt
	@touch $@

# PYTHON=/path/to/python picks the interpreter; otherwise the first that is new enough.
$(VENV)/made:
	@set -e; \
	for python in $(or $(PYTHON),python3 python3.13 python3.12 python3.11 python3.14 python); do \
	    if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	        found="$$python"; break; \
	    fi; \
	done; \
	if [ -z "$${found:-}" ]; then \
	    echo "cnnviz needs Python 3.11 or newer: install it, or name it with PYTHON=/path/to/python." >&2; \
	    exit 1; \
	fi; \
	if ! "$$found" -c 'import ensurepip, venv' 2>/dev/null; then \
	    echo "This Python cannot make environments: install python3-venv (Debian, Ubuntu: apt-get install python3-venv)." >&2; \
	    exit 1; \
	fi; \
	"$(PY)" -c '' 2>/dev/null || "$$found" -m venv --clear "$(VENV)"; \
	touch $@
