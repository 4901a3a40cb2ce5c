# `make demo` and `make test` need Python 3.11-3.13, git and make, and nothing else.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup demo test quick nightly check format lock release clean

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3 python; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null \
	&& echo $$p && break; done)

help:  ## list the commands
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(STAMP)  ## make .venv with the tested set of packages

# timm has a file of its own, without its requirements: they bring torchvision and another torch.
# uv sets the environment up several times faster than pip, and compiles the bytecode:
# without it the first import of ExecuTorch's binding takes 19 s.
$(STAMP): requirements/uv.txt requirements/lock.txt requirements/timm.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "lightmobile needs Python 3.11, 3.12 or 3.13 (set PYTHON=...)" >&2; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes --compile-bytecode requirements/lock.txt requirements/timm.txt requirements/uv.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	touch $@

demo: setup  ## export FasterNet-T0 to every target, verify, benchmark, write the report
	$(BIN)/lightmobile export fasternet_t0 --target all
	$(BIN)/lightmobile bench fasternet_t0 --time-budget 60
	$(BIN)/lightmobile report -o lightmobile-out/report.html

# Two processes, whatever the number of cores: exporters want gigabytes. Both begin somewhere in the
# order of the tests and go on, so what a module's tests share is made in one of them; whoever is
# done first takes the last half of what the other has left.
test: setup  ## pass the tests
	$(BIN)/python -m pytest -m "not nightly" -n 2 --dist worksteal

quick: setup  ## the tests that take seconds
	$(BIN)/python -m pytest -m "not nightly and not slow"

nightly: setup  ## the long tests, and every model and study at full size
	$(BIN)/python -m pytest -m nightly
	$(BIN)/python -m benchmarks.matrix --again
	$(BIN)/python -m benchmarks.studies

check: setup  ## formatter, linter, type checker
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/python -m tests.tools.typecheck

format: setup  ## write what the formatter and linter would
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: $(BIN)/uv  ## refresh the committed set of packages and hashes
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" --extra dev -c requirements/tested.txt pyproject.toml -o requirements/lock.txt
	echo uv | $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" - -o requirements/uv.txt
	echo timm | $(BIN)/uv pip compile --quiet --no-deps --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" -c requirements/tested.txt - -o requirements/timm.txt

$(BIN)/uv:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet uv

# What an earlier wheel left in build/lib would be packed again. Runners that stayed in the package
# would be preferred to newer ones.
release: setup  ## a wheel that carries the runners for phones (on Debian)
	$(BIN)/lightmobile runners build -o device_bench/bundle/aarch64
	rm -rf build/lib build/bdist.*
	$(BIN)/uv build --quiet --wheel --no-build-isolation --python $(BIN)/python --out-dir dist
	rm -rf device_bench/bundle/aarch64

clean:  ## remove what was built here
	rm -rf $(VENV) build dist device_bench/bundle/aarch64 *.egg-info .mypy_cache .ruff_cache .pytest_cache
