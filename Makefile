# Everything lives in .venv. Repeat a target as often as you like: nothing is installed twice.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: install demo test test-gpu browser test-browser clean

install: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@

demo: install
	$(BIN)/kg demo

test: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict kg
	$(BIN)/pytest -n auto --dist worksteal

# Where there is a GPU whose PyTorch is the machine's own, without `make`: experiments/gpu/run.py.
test-gpu: install
	$(BIN)/pytest -m gpu

# A real browser for the pages of `kg serve`, from the system's packages, and axe-core, which tells who could not use them.
browser: install
	command -v chromium >/dev/null || apt-get install --yes --quiet chromium
	cd .venv && npm pack --silent axe-core@4.14.1 >/dev/null && tar xzf axe-core-4.14.1.tgz package/axe.min.js
	mv .venv/package/axe.min.js .venv/axe.min.js && rm -r .venv/package .venv/axe-core-4.14.1.tgz

test-browser: install
	$(BIN)/pytest -m browser

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache build *.egg-info
