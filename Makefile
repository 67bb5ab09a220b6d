# make run          install Picasso into .venv and serve the bundled example at http://127.0.0.1:5000
# make run EXAMPLE=keras-efficientnet-lite     serve another example of picasso/examples; its model is prepared first if necessary
# make run EXAMPLE=scenes-segmentation         serve one of the settings files of an example that has several
# make test         run the tests, except the slow ones
# make test-all     run all tests
# make coverage     run make test and measure coverage; fails below the minimum in pyproject.toml
# make lint         check style, types and import directions
# make format       fix style where ruff can
# make docs         build the documentation
# make release      build the archive and the wheel, and test the wheel in a new environment
# CONTRIBUTING.md describes the other targets.

VENV := .venv
PEERS := .venv-peers
TORCH := .venv-torch
FLOORS := .venv-floors
INTEGRATIONS := .venv-integrations
INTEGRATION_FLOORS := .venv-integration-floors
RELEASE := .venv-release
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile
PYTHON ?= python3
PORT ?= 5000
EXAMPLE ?=
# The settings file of an example is FOLDER/config.py or, for an example named FOLDER-FILE, FOLDER/FILE.py.
NAMED := $(if $(findstring -,$(EXAMPLE)),$(wildcard picasso/examples/$(subst -,/,$(EXAMPLE)).py))
CONFIG := $(if $(EXAMPLE),$(or $(NAMED),picasso/examples/$(EXAMPLE)/config.py),config.py)
PREPARE := $(wildcard $(dir $(CONFIG))prepare_model.py)

.PHONY: install prepare run test test-all coverage test-floors test-integrations test-integration-floors lint lint-js format format-js docs screenshots fuzz bench bench-pages bench-audit bench-gallery bench-methods bench-growth bench-scale bench-gpu bench-catalogue bench-peers bench-attributions bench-pytorch release clean
.DEFAULT_GOAL := run

install: $(VENV)/installed

$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --upgrade pip
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[test,lint,docs]'
	touch $@

prepare: install
	$(if $(PREPARE),$(BIN)/python $(PREPARE))

run: prepare
	$(BIN)/picasso serve --config $(CONFIG) --port $(PORT)

test: install
	$(PYTEST) -m "not slow"

test-all: install
	$(PYTEST)

# Tracing costs half as much again, so the tests of the gate run without it.
coverage: install
	$(PYTEST) -m "not slow" --cov

$(FLOORS)/installed: pyproject.toml tests/floors.py
	$(PYTHON) -m venv $(FLOORS)
	$(FLOORS)/bin/python -m tests.floors > $(FLOORS)/constraints.txt
	$(FLOORS)/bin/pip install --quiet --disable-pip-version-check --constraint $(FLOORS)/constraints.txt \
		--editable '.[keras2,onnx,tflite,notebook,dask,metrics,tensorboard,concepts]' pytest pytest-xdist hypothesis trustme
	touch $@

# Old versions warn of what new ones of other packages no longer have.
test-floors: $(FLOORS)/installed
	$(FLOORS)/bin/python -m pytest --quiet -W ignore --numprocesses 2 --dist loadfile $(wildcard tests/models/test_scan_*.py) \
		tests/models/test_recognition.py tests/models/test_versions.py tests/test_redaction.py tests/web/test_documentation.py \
		tests/explanation/test_widget.py tests/jobs/test_dask_crew.py tests/inside/test_factors.py tests/inside/test_concepts.py tests/summaries

# The packages of `make install` and, in addition, those that Picasso can be used with; in the other environment, the
# oldest versions of the latter.
$(INTEGRATIONS)/installed $(INTEGRATION_FLOORS)/installed: $(VENV)/installed pyproject.toml tests/floors.py
	$(PYTHON) -m venv $(@D)
	$(BIN)/python -c "import sysconfig; print(sysconfig.get_path('purelib'))" \
		> $$($(@D)/bin/python -c "import sysconfig; print(sysconfig.get_path('purelib'))")/shared.pth
	$(if $(findstring floors,$@),$(BIN)/python -m tests.floors integrations) > $(@D)/constraints.txt
	$(@D)/bin/pip install --quiet --disable-pip-version-check --constraint $(@D)/constraints.txt --editable '.[integrations]'
	touch $@

test-integrations: $(INTEGRATIONS)/installed
	$(INTEGRATIONS)/bin/python -m pytest --quiet --numprocesses 2 --dist loadfile tests/integrations

test-integration-floors: $(INTEGRATION_FLOORS)/installed
	$(INTEGRATION_FLOORS)/bin/python -m pytest --quiet --numprocesses 2 --dist loadfile tests/integrations

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The scripts of the pages: ESLint, Prettier and the type checker of TypeScript, in the versions of package-lock.json.
# They need node and a registry of packages, which nothing else does, so `make lint` does without them.
node_modules/installed: package.json package-lock.json
	npm ci --silent --no-audit --no-fund
	touch $@

lint-js: node_modules/installed
	npm run --silent lint

format-js: node_modules/installed
	npm run --silent format

docs: install
	$(BIN)/sphinx-build -W --keep-going -q docs docs/_build/html
	@echo "open docs/_build/html/index.html"

screenshots: prepare
	$(BIN)/python docs/screenshots.py

fuzz: install
	$(BIN)/python -m tests.fuzz --inputs $(or $(INPUTS),200000) --seed $(or $(SEED),1)
	$(BIN)/python -m tests.fuzz.networks --count $(or $(NETWORKS),300) --seed $(or $(SEED),1)
	PICASSO_FUZZ_EXAMPLES=500 $(BIN)/python -m pytest -q tests/fuzz/test_sessions.py

bench: install
	$(BIN)/python -m benchmarks

bench-pages: install
	$(BIN)/python -m benchmarks.pages

bench-gallery: install
	$(BIN)/python -m benchmarks.gallery

bench-audit: install
	$(BIN)/python -m benchmarks.audit

bench-methods: install
	$(BIN)/python -m benchmarks.methods

bench-growth: install
	$(BIN)/python -m benchmarks.growth

bench-scale: install
	$(BIN)/python -m benchmarks.scale

# On a machine with a CUDA card; without one, the exit status is 2.
bench-gpu: install
	$(BIN)/python -m benchmarks.gpu

bench-catalogue: install
	$(BIN)/python -m benchmarks.catalogue

$(PEERS)/installed: pyproject.toml
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/pip install --quiet --disable-pip-version-check --editable . xplique captum torch torchvision
	touch $@

bench-peers: $(PEERS)/installed
	$(PEERS)/bin/python -m benchmarks.peers
	$(PEERS)/bin/python -m benchmarks.peer_methods
	$(PEERS)/bin/python -m benchmarks.sampling

bench-attributions: $(PEERS)/installed
	$(PEERS)/bin/python -m benchmarks.attributions

# PyTorch writes the networks and what it computes for them; Picasso reads both without it.
$(TORCH)/installed:
	$(PYTHON) -m venv $(TORCH)
	$(TORCH)/bin/pip install --quiet --disable-pip-version-check torch==2.13.0 torchvision==0.28.0 onnx onnxscript
	touch $@

bench-pytorch: install $(TORCH)/installed
	$(TORCH)/bin/python -m benchmarks.pytorch.export build/pytorch
	$(BIN)/python -m benchmarks.pytorch.compare build/pytorch

# What is published: a section of the changelog, an archive and a wheel, which is tried in an environment of its own.
release: install
	$(BIN)/python -m tests.release
	$(BIN)/pip install --quiet --disable-pip-version-check build twine
	rm -rf dist $(RELEASE)
	$(BIN)/python -m build --outdir dist .
	$(BIN)/twine check --strict dist/*
	$(PYTHON) -m venv $(RELEASE)
	$(RELEASE)/bin/pip install --quiet --disable-pip-version-check dist/*.whl
	cd dist && ../$(RELEASE)/bin/python -P ../tests/smoke.py
	@echo "dist/ is ready: $(BIN)/twine upload dist/*"

clean:
	rm -rf $(VENV) $(PEERS) $(TORCH) $(FLOORS) $(INTEGRATIONS) $(INTEGRATION_FLOORS) $(RELEASE) docs/_build build dist *.egg-info node_modules .coverage
