# make verify: check every theorem (quick settings).   make test: the tests.   make theorems: the targets below.
# make mutants: mutate every closed form, see which errors the checks would miss.
# make verdicts: observe every claim a hundred times with fresh seeds, count wrong verdicts (hours; may be interrupted).
# make report: check every theorem and write report/index.html.   make figures: draw docs/figures anew.
# make accuracy: how accurate the sharp asymptotics are.   make lint, make clean.
# make chen2023/sgd-boundary: one theorem at full settings; the names come from the registry, none is typed here.
PYTHON ?= python3
VENV ?= .venv
READY := $(VENV)/.ready

.PHONY: verify report test mutants verdicts lint theorems figures accuracy clean

verify: $(READY)
	$(VENV)/bin/sharpbounds verify --quick

report: $(READY)
	$(VENV)/bin/sharpbounds report --quick --archive report.zip

test: lint
	$(VENV)/bin/python -m pytest

mutants: $(READY)
	$(VENV)/bin/python tests/mutants.py

verdicts: $(READY)
	$(VENV)/bin/python tests/verdict_rates.py --write

lint: $(READY)
	$(VENV)/bin/ruff check .

theorems: $(READY)
	@$(VENV)/bin/sharpbounds list --ids

figures: $(READY)
	$(VENV)/bin/sharpbounds figure all

accuracy: $(READY)
	$(VENV)/bin/python -m theory.ours.accuracy

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
