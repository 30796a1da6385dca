# Set-up from nothing, then the main job or the tests. No system MPI, no compiler, no root needed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed
ORACLES := $(VENV)/oracles
INSTALLERS := pip==26.3 setuptools==80.9.0 wheel==0.48.0 numpy==2.2.6
PROCESSES := 2
MINUTES ?= 30

# Open MPI refuses root and more processes than cores unless told, and binds each process to one
# core; unbound, the processes of a node share its cores evenly (yolo_dist/distributed/communicator.py).
export OMPI_ALLOW_RUN_AS_ROOT := 1
export OMPI_ALLOW_RUN_AS_ROOT_CONFIRM := 1
export PRTE_MCA_rmaps_default_mapping_policy := :oversubscribe
export PRTE_MCA_hwloc_default_binding_policy := none

TRAIN := $(BIN)/mpiexec -n $(PROCESSES) $(BIN)/python -m yolo_dist.train
EVALUATE := $(BIN)/mpiexec -n $(PROCESSES) $(BIN)/python -m yolo_dist.evaluate

.PHONY: help install quickstart test soak lint clean
.DEFAULT_GOAL := help

help:
	@echo 'make install     set up the environment, .venv'
	@echo 'make quickstart  set up, then train, evaluate and report on the small data sets'
	@echo 'make test        set up, then run every test that needs no GPU'
	@echo 'make soak        set up, then train for MINUTES=30 while things fail, and lose nothing'
	@echo 'make lint        set up, then check the style of the code'
	@echo 'make clean       remove the environment and the caches; data and results stay'
	@echo
	@echo 'PYTHON=python3.11 chooses the interpreter of the environment (CPython 3.10 to 3.12).'

install: $(STAMP)

quickstart: $(STAMP)
	$(BIN)/python -m yolo_dist.make_data mini-imagenet data/mini-imagenet
	$(BIN)/python -m yolo_dist.make_data mini-voc data/mini-voc
	$(TRAIN) experiments/quickstart_darknet53.yaml --resume
	$(TRAIN) experiments/quickstart_yolo_v3.yaml --resume
	$(EVALUATE) results/quickstart_darknet53
	$(EVALUATE) results/quickstart_yolo_v3
	$(TRAIN) experiments/quickstart_darknet19.yaml --resume
	$(TRAIN) experiments/quickstart_yolo_v2.yaml --resume
	$(EVALUATE) results/quickstart_darknet19
	$(EVALUATE) results/quickstart_yolo_v2
	$(BIN)/python -m yolo_dist.report experiments/quickstart_*.yaml --out report

# Three files at a time, as some only wait, in the order of tests/conftest.py.
test: $(STAMP) $(ORACLES)/installed
	$(BIN)/python -m pytest tests -m 'not gpu' --durations=10 \
	  -n 3 --dist loadfile --no-loadscope-reorder

soak: $(STAMP)
	nice $(BIN)/python tests/soak.py --minutes $(MINUTES)

lint: $(STAMP)
	$(BIN)/python -m ruff check setup.py yolo_dist tests

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamp is written last: an interrupted set-up is done again, a finished one is not.
$(STAMP): requirements.txt setup.py
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(not (3, 10) <= v[:2] <= (3, 12) and \
	  f"$(PYTHON) is Python {v[0]}.{v[1]}, yolo_dist needs CPython 3.10 to 3.12: choose one, for " \
	  "instance with make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(INSTALLERS)
	CC=true LDSHARED=true $(BIN)/python -m pip install --quiet --no-deps --no-build-isolation \
	  -r requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $(STAMP)

# Libraries of the tests alone, in a folder that only processes of tests have on their path.
$(ORACLES)/installed: tests/oracles/requirements.txt $(STAMP)
	rm -rf $(ORACLES)
	$(BIN)/python -m pip install --quiet --no-deps --target $(ORACLES) -r $<
	touch $@
