# Everything lives in .venv. Repeat a target as often as you like: nothing is installed twice.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: install demo test test-gpu clean

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

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache build *.egg-info
