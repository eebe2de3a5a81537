# `make run` does the main job on the built-in data set, `make test` runs the tests; both set up .venv once.
PYTHON ?= python3
ARGS ?=

.PHONY: run test lint bench clean

run: .venv/ready
	.venv/bin/python search/run.py --space quickstart $(ARGS)

test: .venv/ready
	.venv/bin/ruff check .
	.venv/bin/python -m pytest -n auto --dist loadfile --no-loadscope-reorder $(ARGS)

lint: .venv/ready
	.venv/bin/ruff check .

bench: .venv/ready
	.venv/bin/python -m tests.benchmarks $(ARGS)

clean:
	rm -rf .venv

# Set up again only when what is to be installed has changed.
.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet uv
	.venv/bin/uv pip install --quiet --compile-bytecode --python .venv/bin/python --constraint constraints.txt --editable '.[dev,weights]'
	.venv/bin/python -c 'from ensembling import warm_kernels; warm_kernels()'
	touch $@
