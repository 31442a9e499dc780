# `make demo` and `make test` need nothing but make and a Python from 3.11 to 3.13.
# Another interpreter: make demo PYTHON=/path/to/python3.12

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null \
	&& echo $$p && break; done)
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: help demo faces test quick nightly docs lint format bench clean

help:  ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' Makefile

demo: .venv/installed  ## set up .venv, train on drawn faces, generate a grid (minutes)
	$(BIN)/python train.py --config demo --run runs/demo
	$(BIN)/python generate.py --run runs/demo --n 64

faces: .venv/installed  ## train `laptop` on CelebA, generate a grid: make faces DATA=archive.zip
	$(BIN)/python train.py --config laptop $(if $(DATA),--data "$(DATA)") --run runs/faces
	$(BIN)/python generate.py --run runs/faces --n 64

test: .venv/installed  ## the tests, then the linter (4 minutes on two idle cores)
	$(PYTEST) -m "not nightly"
	@$(MAKE) --no-print-directory lint

quick: .venv/installed  ## the tests that are not marked slow (45 seconds)
	$(PYTEST) -m "not slow"

nightly: .venv/installed  ## the tests that `make test` leaves out: long, or of other tools
	$(PYTEST) -m nightly

docs: .venv-docs/installed  ## build the documentation as a site in site/; a broken link fails
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --quiet

lint: .venv/installed  ## check for mistakes, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

format: .venv/installed  ## format the code, and mend what the linter can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/installed  ## run the benchmarks (PyTorch, where it is installed, is one contender)
	@for name in step fit input generate startup inception_vs_torch gpu; do \
		$(BIN)/python tests/benchmarks/$$name.py || exit 1; \
	done

.venv/installed: requirements.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "error: no Python 3.11, 3.12 or 3.13 found; name one: make PYTHON=/path/to/python3.12" >&2; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check --quiet -r requirements.txt -e .
	@touch $@

.venv-docs/installed: docs/requirements.txt
	$(PYTHON) -m venv .venv-docs
	.venv-docs/bin/python -m pip install --disable-pip-version-check --quiet -r docs/requirements.txt
	@touch $@

clean:  ## delete the virtual environments and the site
	rm -rf .venv .venv-docs site
