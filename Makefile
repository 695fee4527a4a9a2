# Each command starts from nothing: it makes .venv, installs, and does the job.
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
export TF_CPP_MIN_LOG_LEVEL ?= 2
export MPLBACKEND ?= Agg

.PHONY: demo test test-older-processor docs lint clean

demo: $(VENV)/installed
	$(BIN)/python examples/demo.py --output_dir=runs/demo

test: lint
	$(BIN)/python -m pytest -q -n 2 --dist=worksteal

# What depends on the order of a sum, on the kernels of a processor without AVX.
test-older-processor: $(VENV)/installed
	ONEDNN_MAX_CPU_ISA=SSE41 $(BIN)/python -m pytest -q -n 2 --dist=worksteal \
		tests/layers tests/objectives tests/bilevel tests/hub/released_encoders_test.py \
		tests/transfer/classifiers/selective_attention_test.py

# Builds the site and runs the code of its pages.
docs: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	$(BIN)/python -m pytest -q -n 2 -m slow tests/documentation_test.py

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

$(VENV)/installed: setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) runs site
