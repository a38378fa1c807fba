# Two commands do everything on a fresh machine: `make demo` and `make test`.
SHELL := /bin/bash
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# The pipeline: make pipeline CONTENT=photo.tif STYLE=painting.jpg OUT=print.tif [CONFIG=...]
CONTENT ?= out/content.tif
STYLE ?= out/style.tif
OUT ?= out/result.tif
CONFIG ?= configs/demo.yaml
WORK := $(basename $(OUT)).tilestyle
DONE := $(WORK)/.done

.PHONY: help setup viewer services demo test test-fast lint format ingest pyramid stylize export pipeline submit-slurm bench bench-print study figures clean

help: ## Say what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14
	@echo
	@echo 'ingest ... pipeline take CONTENT= STYLE= OUT= CONFIG=; a finished stage is not redone.'

setup: $(READY) ## Make .venv with the pinned dependencies

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

# The page's library, of exactly the bytes that package-lock.json names.
PAGE := tilestyle/view/page

viewer: $(PAGE)/openseadragon.min.js ## Get the library of the page of `tilestyle view` (npm)

$(PAGE)/openseadragon.min.js: package.json package-lock.json
	npm ci --ignore-scripts --no-audit --no-fund --silent
	@cp node_modules/openseadragon/LICENSE.txt $(PAGE)/openseadragon.LICENSE.txt
	@cp node_modules/openseadragon/build/openseadragon/$(@F) $@

services: ## Install what the viewer and the tests need from Debian (as root)
	@missing=(); \
	command -v chromium >/dev/null || missing+=(chromium fonts-dejavu-core); \
	command -v chromedriver >/dev/null || missing+=(chromium-driver); \
	command -v npm >/dev/null || missing+=(npm); \
	[ -x /usr/bin/radosgw ] || missing+=(radosgw ceph-mon ceph-osd); \
	command -v tiffcmp >/dev/null || missing+=(libtiff-tools); \
	command -v gdal_translate >/dev/null || missing+=(gdal-bin); \
	command -v compare-im6 >/dev/null || missing+=(imagemagick); \
	test -f /usr/share/color/icc/ghostscript/default_cmyk.icc || missing+=(libgs-common); \
	[ -x /usr/sbin/slurmctld ] || missing+=(slurmctld slurmd slurm-client munge); \
	command -v shellcheck >/dev/null || missing+=(shellcheck); \
	if (($${#missing[@]})); then \
	  apt-get update -q && apt-get install -qy --no-install-recommends "$${missing[@]}"; \
	fi

demo: $(READY) ## Make the demo's print, out/demo.tif, from images painted by code
	$(BIN)/tilestyle demo --config configs/demo.yaml --output out/demo.tif

test: $(READY) ## Run all tests
	$(BIN)/python -m pytest

test-fast: $(READY) ## Run the tests that take no more than some seconds each
	$(BIN)/python -m pytest -m 'not slow'

lint: $(READY) ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY) ## Bring the code into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Each stage leaves a stamp in the workspace; the images themselves are the first prerequisites.
ingest: $(DONE)/ingest ## Read the images into the workspace
pyramid: $(DONE)/pyramid ## Build the Gaussian pyramids
stylize: $(DONE)/stylize ## Run all levels, coarse to fine
export: $(OUT) ## Write the TIFF
pipeline: $(OUT) ## All of these, as far as they are not made

$(DONE)/ingest: $(CONTENT) $(STYLE) $(CONFIG) | $(READY)
	$(BIN)/tilestyle ingest $(CONTENT) $(STYLE) --workspace $(WORK) --config $(CONFIG)
	@mkdir -p $(DONE) && touch $@

$(DONE)/pyramid: $(DONE)/ingest
	$(BIN)/tilestyle pyramid --workspace $(WORK)
	@touch $@

$(DONE)/stylize: $(DONE)/pyramid
	$(BIN)/tilestyle stylize --workspace $(WORK)
	@touch $@

$(OUT): $(DONE)/stylize
	$(BIN)/tilestyle export --workspace $(WORK) --output $(OUT)

submit-slurm: $(CONTENT) $(STYLE) | $(READY) ## Submit the pipeline as a Slurm job, SBATCH="its options"
	sbatch $(SBATCH) deploy/slurm/tilestyle.sbatch $(CONTENT) $(STYLE) $(OUT) --config $(CONFIG)

# Without CONTENT= and STYLE=, the pipeline runs on images painted by code.
out/content.tif: | $(READY)
	@mkdir -p out
	$(BIN)/tilestyle sample content --size 1536x1024 --output $@

out/style.tif: | $(READY)
	@mkdir -p out
	$(BIN)/tilestyle sample style --size 1536x1024 --output $@

bench: $(READY) ## Tiled against whole image: the figures of docs/parity.md; takes hours
	$(BIN)/python -m tests.benchmarks.parity --keep out/parity

bench-print: $(READY) ## A gigapixel in, and out as a TIFF: memory, and time against libvips; 23 GB of disk
	$(BIN)/python -m tests.benchmarks.gigapixel

study: $(READY) ## Variants of ADMM against the whole image, with plots
	$(BIN)/python -m tests.benchmarks.study --plots out/study

# FAST=1: pictures of half the side, in minutes. DATA=0: as where there are no photographs.
FIGURES := $(if $(FAST),--fast) $(if $(filter 0,$(DATA)),--no-data)
figures: $(READY) ## The report's figures: plates in docs/figures/, numbers in docs/results.md
	$(BIN)/python -m tests.benchmarks.figures --keep out/figures$(if $(FAST),-fast) $(FIGURES)

clean: ## Remove what was made: out/, caches, .venv
	rm -rf out node_modules $(PAGE)/openseadragon* $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
	find . -name __pycache__ -prune -exec rm -rf {} +
