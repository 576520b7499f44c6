# Every target does its own set-up: a fresh Linux machine needs Python 3.10 to 3.14, make, and a network.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
STAMP := .venv/.stamp
PY := .venv/bin/python
# Bytecode is kept: without it every process that the tests start compiles torch and MONAI anew, 27 s each.
unexport PYTHONDONTWRITEBYTECODE
# Coverage of these folders is 100 %, of all the rest together at least 90 %: scripts/check_coverage.py.
# Three on two cores: with two, a fifth of the time is spent waiting for processes that tests start.
WORKERS ?= 3

.PHONY: help setup test test-docs test-clinic test-cluster docs release fuzz crash privacy soak audit label-env deploy-env lint demo bench bench-page constraints clean
help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1\t/p' $(MAKEFILE_LIST) | awk -F'\t' '{printf "make %-12s %s\n", $$1, $$2}'

setup: $(STAMP) ## .venv with the exact versions of constraints.txt; done once (PYTHON=… names the interpreter)
$(STAMP): pyproject.toml constraints.txt scripts/setup.sh
	@PYTHON="$(PYTHON)" sh scripts/setup.sh

lint: $(STAMP) ## style, types, spelling: ruff, mypy --strict, typos
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	.venv/bin/typos

# pytest's closing line is the last one printed, after the coverage gates. One thread each: the workers share the cores.
test: lint ## lint, all tests, coverage gates (ARGS='tests/metrics -x' narrows, then without gates)
ifdef ARGS
	OMP_NUM_THREADS=1 $(PY) -m pytest $(ARGS)
else
	@rm -rf build/test && mkdir -p build/test
	@{ OMP_NUM_THREADS=1 $(PY) -m pytest -n $(WORKERS) --dist worksteal --cov --cov-report=json:build/test/coverage.json; \
	   echo $$? > build/test/status; } 2>&1 | tee build/test/output.txt
	@test "$$(cat build/test/status)" = 0
	@$(PY) scripts/check_coverage.py build/test/coverage.json
	@tail -n 1 build/test/output.txt
endif

# Apart from `make test`, which has 15 minutes: pages, notebooks and recipes are followed, packages built and installed.
test-docs: $(STAMP) ## every command and snippet of the documentation is run, the site built, the package installed anew
	MAMMO_DOCS=all OMP_NUM_THREADS=1 $(PY) -m pytest -o addopts=--import-mode=importlib tests/docs tests/recipes tests/release \
	    -q -n $(WORKERS) --dist worksteal $(ARGS)

docs: $(STAMP) ## the site, with notebooks' results → build/site/index.html; needs no network
	$(PY) scripts/docs/build.py --run-notebooks

release: $(STAMP) ## wheel and sdist, built twice and compared, tried in an empty environment → build/release; uploads nothing
	$(PY) -m uv pip install -q -c constraints.txt -e '.[audit]'
	$(PY) scripts/release/run.py build --out build/release

# Installs what it tests against: Orthanc, DCMTK, Chromium (apt-get, as root), OHIF (npm), MONAI Label and Deploy.
# What cannot be installed is skipped with its reason.
test-clinic: $(STAMP) ## results, node, viewer and applications against real servers on this machine's loopback
	sh scripts/clinic/setup.sh
	$(PY) -m pytest -o addopts=--import-mode=importlib tests/clinic -q -rs $(ARGS)

test-cluster: $(STAMP) ## prediction through Ray on two local workers: workers, nodes and the command killed; minutes
	$(PY) -m pytest -o addopts=--import-mode=importlib tests/cluster -q -rs $(ARGS)

fuzz: $(STAMP) ## 100 000 hostile inputs to each reader → build/fuzz; some hours, goes on after a kill
	$(PY) -m uv pip install -q -c constraints.txt -e '.[fuzz]'
	$(PY) -m tests.fuzz.run --executions 100000 --out build/fuzz $(FUZZ_ARGS)

crash: $(STAMP) ## kill -9 at 200 random moments → build/crash; goes on after a kill
	OMP_NUM_THREADS=1 $(PY) -m tests.crash.run --kills 200 --out build/crash $(CRASH_ARGS)

privacy: $(STAMP) ## a marker in every DICOM element, searched in all outputs → build/privacy.json
	MAMMO_PRIVACY_FIGURES=build/privacy.json $(PY) -m pytest tests/privacy -q -m 'slow or not slow'

soak: $(STAMP) ## 10 000 associations, most of them hostile, against a node that is killed → build/soak.json
	$(PY) scripts/clinic/hostile_soak.py --associations 10000 --out build/soak.json

audit: $(STAMP) ## known vulnerabilities, licences, lists of parts (CycloneDX) → build/audit; needs the advisories' server
	$(PY) -m uv pip install -q -c constraints.txt -e '.[audit]'
	$(PY) scripts/audit/run.py --out build/audit

label-env: ## .venv-label: MONAI Label with this package, for `monailabel start_server`
	sh scripts/clinic/label_env.sh

deploy-env: ## .venv-deploy: MONAI Deploy with this package
	sh scripts/clinic/deploy_env.sh

demo: $(STAMP) ## eight real films marked, then the whole chain on synthetic mammograms; opens nothing, writes runs/demo/
	$(PY) scripts/demo.py

bench: $(STAMP) ## benchmarks against peers → build/bench/*.json, table.md (BENCH_ARGS='--only decode forward')
	$(PY) scripts/bench/run_all.py --out build/bench $(BENCH_ARGS)

bench-page: $(STAMP) ## puts the table of build/bench into docs/explanation/speed.md
	$(PY) scripts/bench/table.py build/bench --into docs/explanation/speed.md

constraints: ## resolves constraints.txt anew for Python 3.10 and later (UPGRADE=--upgrade takes the latest versions)
	printf 'hatchling\nhatch-fancy-pypi-readme\neditables\nuv\n' | $(PY) -m uv pip compile pyproject.toml - --extra dev --extra clinic --extra fuzz --extra audit --universal \
	    --python-version 3.10 $(UPGRADE) --no-emit-index-url --no-annotate --no-header --output-file constraints.txt

clean: ## removes .venv, caches and what the targets made; keeps runs/
	rm -rf .venv .venv-label .venv-deploy .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage .coverage.* build dist
