# make verify: check every theorem (quick settings).   make test: the tests.   make theorems: the targets below.
# make coverage: verify and test, and how many of the lines and branches they have run.
# make mutants: mutate every closed form, see which errors the checks would miss.
# make verdicts: observe every claim a hundred times with fresh seeds, count wrong verdicts (hours; may be interrupted).
# make report: check every theorem and write report/index.html.   make figures: draw docs/figures anew.
# make bench: measure speed, print a table, write bench.json (pip install -e '.[bench]' for all the peers).
# make accuracy: how accurate the sharp asymptotics are.   make drift: how far long runs drift.   make lint, make clean.
# make dist-check: wheel and sdist, installed where nothing else is.   make test-lowest: the tests on the oldest versions
# of every dependency that setup.cfg allows.
# make chen2023/sgd-boundary: one theorem at full settings; the names come from the registry, none is typed here.
PYTHON ?= python3
VENV ?= .venv
RUN ?= $(VENV)/bin/python
READY := $(VENV)/.ready
UV := $(VENV)/bin/uv
# the tests are shared out to so many processes, mostly by file, so that what a file sets up is set up once
TESTERS ?= 2
PYTEST = -m pytest --numprocesses $(TESTERS) --dist worksteal

.PHONY: verify report test coverage covered mutants verdicts lint theorems figures accuracy drift bench dist-check
.PHONY: test-lowest clean

verify: $(READY)
	$(RUN) -m sharpbounds verify --quick

report: $(READY)
	$(VENV)/bin/sharpbounds report --quick --archive report.zip

test: lint
	$(RUN) $(PYTEST)

# the check of every theorem is a test as well, of what it observes
coverage: $(READY)
	rm -rf build/coverage
	$(MAKE) verify test covered RUN='$(VENV)/bin/python -m coverage run'

covered:
	$(VENV)/bin/python -m coverage combine --quiet
	$(VENV)/bin/python -m coverage json --quiet -o build/coverage/found.json
	$(VENV)/bin/python tests/coverage_check.py build/coverage/found.json

mutants: $(READY)
	$(VENV)/bin/python tests/mutants.py

verdicts: $(READY)
	$(VENV)/bin/python tests/verdict_rates.py --write

lint: $(READY)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy simulate theory figures sharpbounds.py benchmarks
	for part in tests tests/*/conftest.py; do $(VENV)/bin/mypy $$part || exit; done

theorems: $(READY)
	@$(VENV)/bin/sharpbounds list --ids

figures: $(READY)
	$(VENV)/bin/sharpbounds figure all

accuracy: $(READY)
	$(VENV)/bin/python -m theory.ours.accuracy

# The archive builds the wheel; what is in neither is not found. The archive is then installed over it, and its own tests
# of the documents run in it.
dist-check: $(READY)
	rm -rf dist
	$(UV) tool run --quiet cffconvert --validate
	$(UV) build --quiet
	$(UV) venv --quiet --seed --python $(PYTHON) dist/venv
	dist/venv/bin/python -m pip install --quiet dist/*.whl
	dist/venv/bin/python -m pip check
	cd dist && test "$$(venv/bin/sharpbounds list --ids)" = "$$(../$(VENV)/bin/sharpbounds list --ids)"
	cd dist && venv/bin/sharpbounds verify quadratics/usam-threshold --quick
	dist/venv/bin/python -m pip install --quiet --no-deps --force-reinstall dist/*.tar.gz
	cd dist && venv/bin/sharpbounds --version && tar -xzf *.tar.gz
	cd dist/sharpbounds-*/ && ../../$(VENV)/bin/python -m pytest tests/test_documentation.py

test-lowest: $(READY)
	$(UV) venv --quiet --clear --python $(PYTHON) build/lowest
	$(UV) pip install --quiet --python build/lowest --resolution lowest-direct --editable '.[test]'
	build/lowest/bin/python $(PYTEST) -W ignore::DeprecationWarning

drift: $(READY)
	$(VENV)/bin/python tests/drift.py

bench: $(READY)
	$(VENV)/bin/python -m benchmarks --json bench.json

$(READY): setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --editable '.[test]'
	@touch $@

# any other target is a claim's id, or a glob of ids
.DEFAULT:
	@$(MAKE) --silent --no-print-directory $(READY)
	@$(VENV)/bin/sharpbounds verify '$@' --full

clean:
	rm -rf $(VENV) build dist *.egg-info report report.zip
