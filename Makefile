# Two commands for a fresh machine: `make demo` and `make test`. Both create .venv and install everything they need.
PYTHON ?= python3
VENV ?= .venv
JOBS ?= 3  # tests side by side; those of a file stay together, for they share what the file makes
RUN := $(VENV)/bin/

.PHONY: help setup demo test test-ray test-long test-soak test-image test-fast check format bench wheel clean

help:  ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

setup: $(VENV)/.installed  ## create .venv and install the package with all extras

$(VENV)/.installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed, $$($(PYTHON) --version) was found. Try: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(RUN)python -m pip install --quiet --editable '.[all,dev]'
	@touch $@

demo: setup  ## fit a model on the bundled customers table in half a minute
	$(RUN)automl fit examples/customers.csv --target churned --budget 30s --out runs/demo-$$(date +%Y%m%d-%H%M%S)

test: setup  ## run all tests but those on Ray and the longest
	$(RUN)python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder -m "not ray and not long and not soak and not image"

test-ray: setup  ## run the tests on Ray: the same contract, machines that go, deployment files
	$(RUN)python -m pytest -m "ray and not soak"

test-long: setup  ## run the longer tests: all that the README shows, killed runs, whole walks
	$(RUN)python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder -m long

test-soak: setup  ## run at length what shorter tests show in part: before a release
	$(RUN)python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder -m soak

test-image: setup  ## install what the cluster's image holds in a fresh environment, by its own steps, and fit in it
	$(RUN)python -m pytest -m image

test-fast: setup  ## run the tests that take no real runs
	$(RUN)python -m pytest -m "not slow"

check: setup  ## format, lint, types, import contracts
	$(RUN)ruff format --check .
	$(RUN)ruff check .
	$(RUN)mypy
	$(RUN)lint-imports

format: setup  ## format and mend what can be mended
	$(RUN)ruff format .
	$(RUN)ruff check --fix .

bench: setup  ## a short benchmark on three sets that ship with scikit-learn; benchmarks/README.md tells how to run the real ones
	$(RUN)python benchmarks/tables.py --seconds 15

wheel: setup  ## build the wheel, install it in an empty environment and run the demo from there
	rm -rf dist build
	$(RUN)python -m build --wheel --outdir dist
	$(PYTHON) -m venv .venv-wheel --clear
	.venv-wheel/bin/python -m pip install --quiet dist/*.whl
	cd $$(mktemp -d) && $(CURDIR)/.venv-wheel/bin/automl doctor
	cd $$(mktemp -d) && $(CURDIR)/.venv-wheel/bin/automl fit $(CURDIR)/examples/customers.csv --target churned --budget 20s

clean:  ## remove what make created
	rm -rf .venv .venv-wheel build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
