# `make help` lists what there is.
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)

.PHONY: help install demo isbi test test-slow test-cluster test-export test-programs torture audit bench bench-gpu bench-peers lint clean

help:  ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-12s %s\n", $$1, $$2}'

install: .venv/installed  ## make .venv with the pinned dependencies

.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "expected Python 3.11 or later, but got " + sys.version.split()[0])'
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || $(SUDO) apt-get install --yes python3-venv
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: install  ## train on the embedded micrographs, predict and score, in minutes
	$(BIN)/python -m src.train experiment=demo hydra.run.dir=runs/demo
	@echo "open runs/demo/report.html in a browser"

isbi: install  ## train on ISBI-2012 (downloaded unless DATA_DIR or data/ has it)
	$(BIN)/python -m src.train experiment=isbi

test: install  ## run all tests but the slow ones, on two cores in five to eight minutes
	$(BIN)/python -m pytest

test-slow: install  ## run the tests that kill, signal, sweep and train on every kind of folder
	$(BIN)/python -m pytest -m slow

test-cluster: install  ## run the tests that need Slurm, which $$SLURM_SCRIPTS/start_slurm.sh starts on this machine
	$(BIN)/python -m pytest -m cluster -n 0

test-export: install runs/tiktorch/installed  ## test packages of bioimage.io, also in the versions that ilastik's tiktorch takes
	TIKTORCH_PYTHON=runs/tiktorch/bin/python $(BIN)/python -m pytest -m 'slow or not slow' tests/exports tests/test_export.py

# The versions of bioimageio are those that tiktorch pins (ilastik/tiktorch#244).
runs/tiktorch/installed: constraints.txt
	$(PYTHON) -m venv runs/tiktorch
	grep -v '^bioimageio' constraints.txt > runs/tiktorch/constraints.txt
	runs/tiktorch/bin/pip install --quiet --disable-pip-version-check --constraint runs/tiktorch/constraints.txt bioimageio.spec==0.5.9.1 bioimageio.core==0.10.2 onnxruntime torch
	@touch $@

test-programs: install runs/napari/installed  ## open results in napari and ImageJ, which it installs
	NAPARI_PYTHON=runs/napari/bin/python $(BIN)/python -m pytest -n 0 -m programs tests/programs

# Qt and OpenGL of napari need these packages on a machine without a screen; the plug-in reads OME-Zarr.
runs/napari/installed:
	$(SUDO) apt-get update -qq && $(SUDO) apt-get install --yes -qq --no-install-recommends imagej xvfb xauth libgl1 libgl1-mesa-dri libegl1 libxcb-cursor0 libxcb-icccm4 libxcb-image0 libxcb-keysyms1 libxcb-render-util0 libxcb-shape0 libxcb-xkb1 libxkbcommon-x11-0
	$(PYTHON) -m venv runs/napari
	runs/napari/bin/pip install --quiet --disable-pip-version-check 'napari[pyqt6]==0.9.2' napari-ome-zarr==0.10.0
	@touch $@

torture: install  ## open and read all that tests/torture can think of, in minutes
	$(BIN)/python -m pytest -m torture -s

audit: install  ## hold the pinned versions against known advisories, and against the database of pip-audit if it can be reached
	$(BIN)/python -m pytest -n 0 tests/test_house.py -k advisory
	$(PYTHON) -m venv runs/audit && runs/audit/bin/pip install --quiet --disable-pip-version-check pip-audit
	-runs/audit/bin/pip-audit --requirement constraints.txt --no-deps --disable-pip

bench: install runs/peers/batchgeneratorsv2  ## measure against what people would use instead (15 minutes)
	for each in augment weight_map choose train start predict memory outputs table; do PYTHONPATH=runs/peers $(BIN)/python -W ignore -m tests.benchmarks.$$each || exit 1; done

bench-gpu: install  ## measure what a GPU gives, where there is one
	$(BIN)/python -W ignore -m tests.benchmarks.gpu isbi

bench-peers: install runs/peers/batchgeneratorsv2  ## fetch what make bench compares with

runs/peers/batchgeneratorsv2:
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --target runs/peers monai==1.6.1 batchgeneratorsv2==0.3.6

lint: install  ## check the style and the types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:  ## remove .venv and caches, never runs/ or data/
	rm -rf .venv .pytest_cache .ruff_cache .mypy_cache *.egg-info
