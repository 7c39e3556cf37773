# Two commands set everything up on a machine with Python >= 3.11: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO_OUT ?= demo_output
CONSTRAINTS ?= constraints.txt
PYTHONS ?= python3.11 python3.12 python3.13

.PHONY: demo test test-slow test-minimum test-pythons test-matrix lint bench docs clean

$(VENV)/.installed: setup.cfg $(CONSTRAINTS)
	$(PYTHON) -c "import sys; sys.exit(0 if sys.version_info >= (3, 11) else 'Python >= 3.11 is needed: make PYTHON=python3.11 ...')"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
# torch comes first and pinned: an open range would pull the CUDA build with several gigabytes of libraries
	$(BIN)/pip install --quiet --constraint $(CONSTRAINTS) torch
	$(BIN)/pip install --quiet --constraint $(CONSTRAINTS) --editable ".[dev]"
	touch $@

demo: $(VENV)/.installed
	$(BIN)/beatssl demo --out $(DEMO_OUT) $(if $(DATA),--data "$(DATA)")

# A process per core with one torch thread each: twice as fast as one process with all threads.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n logical --maxprocesses 8

test: $(VENV)/.installed
	$(PYTEST)

test-slow: $(VENV)/.installed
	$(PYTEST) --run-slow

# The oldest versions that setup.cfg admits, in an environment of their own.
test-minimum:
	$(MAKE) test VENV=.venv-minimum CONSTRAINTS=constraints-minimum.txt

# An environment for each interpreter that is found. Others are named and left out.
test-pythons:
	@failed=; for python in $(PYTHONS); do \
	  $$python --version >/dev/null 2>&1 || { echo "$$python: not found"; continue; }; \
	  $(MAKE) test PYTHON=$$python VENV=.venv-$$python || failed="$$failed $$python"; \
	done; \
	test -z "$$failed" || { echo "failed:$$failed"; exit 1; }

# The suite with other instructions, BLAS kernels and numbers of threads: an hour.
test-matrix: $(VENV)/.installed
	$(BIN)/python -m benchmarks.machines $(ROWS)

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(VENV)/.installed
	for name in read rpeaks encoder transform pretrain_step; do OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.bench_$$name || exit 1; done

docs: $(VENV)/.installed
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[docs]"
	OMP_NUM_THREADS=1 $(BIN)/sphinx-build -W -b html docs docs/_build

clean:
	rm -rf $(VENV) .venv-* build dist *.egg-info docs/_build docs/generated $(DEMO_OUT)
