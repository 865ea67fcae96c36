# Everything lives in .venv. `uv` fills it when it is installed, else pip does; both install exactly constraints.txt.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
UV     := $(shell command -v uv 2>/dev/null)
NEEDED := --constraint constraints.txt --build-constraint constraints.txt --editable . --group dev
COMPILE = $(UV) pip compile --quiet --universal --python-version 3.11 --no-annotate pyproject.toml

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test chaos lint bench constraints clean

help:  ## what you can type (this list)
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(READY)  ## JupyterLab on the first notebook; options: make demo ARGS=--no-browser
	$(BIN)/durable-demo $(if $(ARGS),lab $(ARGS))

test: $(READY)  ## all tests, the chaos suite in its short form too: four files at a time, since they mostly wait
	$(BIN)/python -m pytest --numprocesses 4 --dist loadfile --no-loadscope-reorder

chaos: $(READY)  ## kills, freezes and cuts in their long form, about 50 minutes; the figures: artifacts/chaos.txt
	$(BIN)/python -m pytest tests/chaos --chaos=long

lint: $(READY)  ## ruff, mypy and the import contracts
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY)  ## the measurements: live facts, chat, panel, fold
	$(BIN)/python -m benchmarks

constraints:  ## pin anew after a change of pyproject.toml (needs uv); all to the newest: ARGS=--upgrade
	@test -n "$(UV)" || { echo "make constraints needs uv. Next: python3 -m pip install uv" >&2; exit 1; }
	$(COMPILE) --group dev --custom-compile-command "make constraints" $(ARGS) --output-file constraints.txt
	@{ echo '# Made by "make constraints": what the kit needs to run, pinned as in constraints.txt.'; \
	   echo 'name: durable-demo'; \
	   echo 'channels: [conda-forge, nodefaults]'; \
	   echo 'dependencies:'; \
	   echo '  - python=3.11'; \
	   echo '  - pip'; \
	   echo '  - pip:'; \
	   $(COMPILE) --no-header --constraint constraints.txt | sed 's/^/      - /'; \
	   echo '      - -e .'; } > environment.yml

clean:  ## remove .venv, caches and artifacts; your workflows and logs stay
	rm -rf $(VENV) artifacts build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Python 3.11 or newer is needed; '$(PYTHON)' is older or missing." >&2; \
	  echo "Next: install one and name it, such as: make demo PYTHON=python3.12" >&2; exit 1; }
ifdef UV
	@test -x $(BIN)/python || $(UV) venv --quiet --python "$(PYTHON)" $(VENV)
	$(UV) pip install --quiet --python $(BIN)/python $(NEEDED)
else
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "'$(PYTHON)' cannot make a virtual environment." >&2; \
	  echo "Next: apt-get install python3-venv (Debian, Ubuntu), or install uv" >&2; exit 1; }
	$(BIN)/python -m pip install --quiet --upgrade --constraint constraints.txt pip
	$(BIN)/python -m pip install --quiet $(NEEDED)
endif
	@touch $@
