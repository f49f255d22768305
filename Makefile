# make demo      install, simulate ECGs, pre-train, evaluate: a report after a few minutes
# make test      the quick suite            make test-all   the thorough one too
# make lint      ruff and mypy              make docs      the documentation site: build/docs/index.html
# make coverage  the quick suite once more, and which branches it takes      make mutants   faults put into the code: hours
# make bench     speed and memory: benchmarks/RESULTS.md (ONLY="quality growth": these; RELEASE=FOLDER: beside the authors' release)
# make notebooks   run notebooks/ anew and keep what they show
# make lock      locks/ anew, of constraints.txt       make licences   docs/licences.md anew
# make audit     the locked versions against the database of known weaknesses (needs the network)
# make train-small   the bundled model from the data in $CMELT_DATA_DIR (default: ../shared/data), card included: hours on two cores
#
# Needs Python 3.11 or newer and make. PYTHON=… chooses another interpreter; TORCH_INDEX=… an index that has torch for your
# device (the default index's build for Linux brings CUDA along: gigabytes that a CPU has no use for). Everything but torch is
# installed by locks/, so that a file with another SHA-256 is refused.

SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
OUT ?= demo-output
# Tests run in as many processes as there are cores, four at most, each a file at a time; a thread each (tests/conftest.py).
TOGETHER ?= -n logical --maxprocesses 4 --dist loadfile
# Where `make train-small` finds its data, and where stores and run go; it goes on where it was stopped.
CMELT_DATA_DIR ?= ../shared/data
DATA := $(CMELT_DATA_DIR)
TRAINED ?= trained
PYTHON ?= $(shell for python in python3.11 python3; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)

.PHONY: install demo test test-all coverage mutants lint docs notebooks bench lock licences audit train-small clean
.DEFAULT_GOAL := test

install: $(INSTALLED)

# The locks first: torch then finds what it needs, but for its own build's CUDA.
$(INSTALLED): pyproject.toml constraints.txt locks/package.txt locks/develop.txt
	@if [ -z "$(PYTHON)" ]; then echo "make: neither python3.11 nor python3 is Python 3.11 or newer; install one, or say where: make PYTHON=…" >&2; exit 1; fi
	@$(PYTHON) -c 'import sys; sys.exit("make: $(PYTHON) is older than Python 3.11" if sys.version_info < (3, 11) else 0)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes --no-deps -r locks/package.txt -r locks/develop.txt
	$(BIN)/python -m pip install --quiet -c constraints.txt $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch==2.13.0
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	$(BIN)/python -m pip check
	@touch $@

demo: $(INSTALLED)
	$(BIN)/cmelt demo --out $(OUT)

test: $(INSTALLED)
	$(BIN)/python -m pytest -q $(TOGETHER) -m "not slow"

test-all: $(INSTALLED)
	$(BIN)/python -m pytest -q $(TOGETHER)

# What the tests see: branches of all of src/cmelt, those that the tests' own processes take among them; and faults put into a copy.
# Beside the measurement a test of speed or of a full disk can fail: what was measured is shown all the same.
coverage: $(INSTALLED)
	$(BIN)/python -m pip install --quiet -c constraints.txt pytest-cov
	-$(BIN)/python -m pytest -q $(TOGETHER) -m "not slow" --cov --cov-report=
	$(BIN)/python -m coverage report
	@mkdir -p build && $(BIN)/python -m coverage json -q -o build/coverage.json && echo "branches and statements apart: build/coverage.json, totals"

mutants: $(INSTALLED)
	$(BIN)/python -m pip install --quiet -c constraints.txt mutmut
	$(BIN)/python benchmarks/mutation.py --scratch build/mutants $(if $(ONLY),--only $(ONLY))

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The site. A warning fails it; tests/docs/test_site.py builds it, too, and looks at what came of it.
SITE := build/docs
docs: $(INSTALLED)
	$(BIN)/python -m sphinx -b html -q -n -W --keep-going -c docs/site -d build/doctrees . $(SITE)
	@echo "the site: $(SITE)/index.html"

notebooks: $(INSTALLED)
	$(BIN)/python scripts/run_notebooks.py

bench: $(INSTALLED)
	$(BIN)/python benchmarks/run_all.py $(if $(RELEASE),--release $(RELEASE)) $(if $(ONLY),--only $(ONLY))

# What is installed: by which versions and files, under which licences, with which known weaknesses.
lock: $(INSTALLED)
	$(BIN)/python -m pip install --quiet -c constraints.txt uv
	$(BIN)/python scripts/lock.py

licences: $(INSTALLED)
	$(BIN)/python scripts/licences.py

AUDIT := build/audit
audit:
	test -x $(AUDIT)/bin/pip-audit || { $(PYTHON) -m venv $(AUDIT) && $(AUDIT)/bin/python -m pip install --quiet -c constraints.txt pip-audit; }
	$(AUDIT)/bin/pip-audit --strict --disable-pip --require-hashes -r locks/torch.txt -r locks/package.txt -r locks/develop.txt

# The bundled model. Fold 9 is validation and fold 10 test: neither is trained on.
SMALL := $(TRAINED)/small
SMALL_WEIGHTS := src/cmelt/weights/small
$(TRAINED)/ptbxl100: | $(INSTALLED)
	$(BIN)/cmelt prepare ptb-xl $(DATA)/ptb-xl --out $@ --rate 100
$(TRAINED)/simulated: | $(INSTALLED)
	$(BIN)/cmelt prepare simulated --records 12000 --patients 8000 --seed 1 --rate 100 \
		--domain archive --languages de,de,en-statements --out $@

# Other hospitals: all of the Challenge that lies at hand but its copy of PTB-XL.
$(TRAINED)/others100: | $(INSTALLED)
	$(BIN)/cmelt prepare cinc2021 $(DATA)/challenge-2021 --out $@ --rate 100 \
		--part chapman_shaoxing --part ningbo --part cpsc_2018 --part cpsc_2018_extra --part ptb

train-small: $(TRAINED)/ptbxl100 $(TRAINED)/simulated $(TRAINED)/others100
	$(BIN)/cmelt pretrain --recipe small --data $(TRAINED)/ptbxl100 $(TRAINED)/simulated --weights 1 0.1533 --set training.epochs=40 \
		--set training.precision=bf16-mixed --out $(SMALL)
	$(BIN)/python scripts/ship_model.py weights $(SMALL) $(SMALL_WEIGHTS) --reproduce "make train-small"
	$(BIN)/cmelt evaluate $(SMALL_WEIGHTS) --data $(TRAINED)/ptbxl100 --out $(SMALL)-evaluation --no-examples \
		--task ptbxl-super --task ptbxl-diagnoses --task ptbxl-sub --task ptbxl-rhythm --task ptbxl-form
	$(BIN)/cmelt evaluate $(SMALL_WEIGHTS) --data $(TRAINED)/others100 --out $(SMALL)-other-hospitals --no-examples \
		--task cinc2021 --no-probe --splits train,validation,test --leave-out-known
	$(BIN)/python scripts/ship_model.py card $(SMALL_WEIGHTS) $(SMALL)-evaluation $(SMALL)-other-hospitals

clean:
	rm -rf $(VENV) $(OUT) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
