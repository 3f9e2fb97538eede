# Every target makes the virtual environment it needs; nothing is installed outside .venv.
PYTHON ?= python3
VENV ?= .venv
# The versions that CI runs with. `make test CONSTRAINTS=` takes the newest ones instead.
CONSTRAINTS ?= .ci/constraints.txt
PIP := $(VENV)/bin/python -m pip --disable-pip-version-check install -q $(if $(CONSTRAINTS),-c $(CONSTRAINTS))

.PHONY: demo test lint bench clean

$(VENV)/.runtime: pyproject.toml $(CONSTRAINTS)
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(PIP) -e .
	touch $@

$(VENV)/.dev: $(VENV)/.runtime
	$(PIP) -e ".[dev]"
	touch $@

demo: $(VENV)/.runtime  ## Make the two figures of the README from the embedded model
	$(VENV)/bin/ilvr demo --output demo-output

test: $(VENV)/.dev  ## Unit and parity tests
	$(VENV)/bin/python -m pytest

# The nodes import the core relatively: they are checked as ComfyUI loads them, inside a package.
lint: $(VENV)/.dev  ## Style, formatting and types
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	mkdir -p $(VENV)/typing && ln -sfn $(CURDIR) $(VENV)/typing/pack
	MYPYPATH=$(VENV)/typing $(VENV)/bin/mypy -p pack.nodes

bench: $(VENV)/.dev  ## Ratios of speed; PEER=PATH names a checkout of the authors' code
	$(VENV)/bin/python -m benchmarks $(if $(PEER),--peer $(PEER))

clean:  ## Remove what the targets above made
	rm -rf $(VENV) demo-output build *.egg-info
