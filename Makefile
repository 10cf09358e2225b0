# kpay_lab: `make report` builds what is missing and writes a report; `make help` lists the rest.
PYTHON ?= python3
PROFILE ?= default
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
UV := $(shell command -v uv 2>/dev/null)

.DEFAULT_GOAL := help
.PHONY: help install report lab test test-all test-browser test-spark spark-tests referee referee-accept mutants lint format lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

$(READY): requirements.lock pyproject.toml
ifneq ($(UV),)
	"$(UV)" venv --quiet --allow-existing --python "$(PYTHON)" $(VENV)
	VIRTUAL_ENV="$(CURDIR)/$(VENV)" "$(UV)" pip install --quiet --no-deps --compile-bytecode -r requirements.lock
	VIRTUAL_ENV="$(CURDIR)/$(VENV)" "$(UV)" pip install --quiet --no-deps -e .
else
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
endif
	@touch $@

install: $(READY) ## build the environment in .venv from requirements.lock

report: $(READY) ## run PROFILE (default: default) into outputs/ and print where the index page lies
	$(BIN)/kpay run --profile $(PROFILE)

lab: $(READY) ## open JupyterLab on the notebooks
	$(BIN)/jupyter lab notebooks

# Files stand in their order, tiny ones last. By number of tests, few but long ones would come last,
# and one core would wait for the other.
test: $(READY) ## run the tests (slow, spark and browser tests apart)
	$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder

test-all: $(READY) ## run every test: the slow ones, those in a browser, and those on Spark
	$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder -m "not spark"
	$(MAKE) --no-print-directory test-spark

test-browser: $(READY) ## run the tests in a real browser (needs Chromium on the PATH)
	$(BIN)/python -m pytest -m browser tests/browser

test-spark: ## install pyspark into .venv-spark and run its tests on a cluster of this machine
	$(MAKE) --no-print-directory VENV=.venv-spark spark-tests

spark-tests: $(READY)
ifneq ($(UV),)
	VIRTUAL_ENV="$(CURDIR)/$(VENV)" "$(UV)" pip install --quiet -c requirements.lock -e ".[spark]"
else
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements.lock -e ".[spark]"
endif
	$(BIN)/python -m pytest tests/spark -m spark -rs

referee: $(READY) ## run smoke and default and list every number that differs from tests/golden
	$(BIN)/python -m tests.referee

referee-accept: $(READY) ## the same, and make what was found the new tests/golden
	$(BIN)/python -m tests.referee --accept

mutants: $(READY) ## change the package in small ways and list the changes that no test notices
	$(BIN)/python -m tests.mutants $(FILES)

.PHONY: bench
bench: $(READY) ## measure each step next to its peers and write benchmarks/RESULTS.md
	$(BIN)/python benchmarks/bench.py

lint: $(READY) ## check format, style and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(READY) ## let ruff rewrite what it can, and strip outputs from the notebooks
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/nbstripout --keep-id notebooks/*.ipynb notebooks/solutions/*.ipynb

lock: ## resolve requirements.lock anew (needs uv)
	uv pip compile pyproject.toml --extra dev --universal --no-emit-index-url --no-header --no-annotate --quiet --upgrade -o requirements.lock

clean: ## remove the environment, the caches and every output
	rm -rf $(VENV) .venv-spark build .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	find outputs -mindepth 1 ! -name .gitkeep -delete
