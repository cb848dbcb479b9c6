# Every target sets up what it needs; a second call starts at once.
SHELL := /bin/bash
PYTHON ?= python3
RUNS ?= 20
# Processes that `make test` runs tests in; each has a Postgres of its own.
JOBS ?= 2
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
CLIENT := .farm/client-venv
CLIENT_READY := $(CLIENT)/.ready
VLLM := .farm/vllm-venv
VLLM_READY := $(VLLM)/.ready
# A proxy's certificate lies in the system's store.
export UV_SYSTEM_CERTS := 1
# At a terminal uv shows how far it is; in a log its list of packages is noise.
QUIET := $(if $(MAKE_TERMOUT),,--quiet)
# A folder of wheels that pip is told of is uv's too: torch comes from it if it is there.
FIND_LINKS := $(foreach place,$(PIP_FIND_LINKS),--find-links $(place))

.PHONY: demo test check bench up setup lock chaos requests fuzz test-client test-vllm test-images micro-teacher worlds gold clean help

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/'

setup: $(READY) ## virtual environment with the pinned dependencies

$(READY): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "found $$($(PYTHON) --version); expected Python >= 3.11; set PYTHON=python3.x"; exit 2; }
	@test -n "$(PIP_FIND_LINKS)" || echo "PIP_FIND_LINKS is not set: torch may come with gigabytes of CUDA;" \
		"set it to a folder with a CPU wheel, or to https://download.pytorch.org/whl/cpu/torch"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check $(shell grep '^uv==' requirements/uv.txt)
	@$(BIN)/uv pip install $(QUIET) --python $(BIN)/python $(FIND_LINKS) -r requirements/dev.txt
	@echo "$(CURDIR)" > "$$($(BIN)/python -c 'import site; print(site.getsitepackages()[0])')/kompress_farm.pth"
	@printf '#!/bin/sh\nexec "%s" -m api.cli "$$@"\n' "$(CURDIR)/$(BIN)/python" > $(BIN)/farm && chmod +x $(BIN)/farm
	@touch $@

demo: $(READY) ## rounds of labelling and training through real Celery workers, until they gain nothing
	@$(BIN)/farm demo $(if $(JSON),--json $(JSON))

up: $(READY) ## an embedded stack that keeps running; prints its URLs
	@$(BIN)/farm up

check: $(READY) ## linters, types, import contracts, documents, schema against models
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m pytest -q tests/docs
	@$(BIN)/python -m db.migrate check

test: check ## all checks and tests, with coverage of kompress, db and worker
	@$(BIN)/coverage erase
	@OMP_NUM_THREADS=1 $(BIN)/coverage run -m pytest -q --hypothesis-profile=ci -n $(JOBS) --dist loadfile \
		--no-loadscope-reorder -m "not serial and not chaos and not requests and not images and not client and not vllm" $(ARGS)
	@$(BIN)/coverage run -m pytest -q --hypothesis-profile=ci -m serial $(ARGS)
	@$(BIN)/coverage combine -q && $(BIN)/coverage report --fail-under=90

chaos: $(READY) ## the long fault run
	@$(BIN)/python -m pytest -q -m chaos tests/end_to_end $(ARGS)

requests: $(READY) ## thousands of requests drawn from our OpenAPI, with a key and without
	@$(BIN)/python -m pytest -q -s -m requests tests/api $(ARGS)

fuzz: $(READY) ## property tests with other examples each time, RUNS times over
	@for run in $$(seq $(RUNS)); do $(BIN)/python -m pytest -q -m hypothesis $(ARGS) || exit 1; done

test-client: $(READY) $(CLIENT_READY) ## the real client, headroom-ai, on an exported student
	@$(BIN)/python -m pytest -q -m client tests/client $(ARGS)

$(CLIENT_READY): requirements/client.txt | $(READY)
	@test -x $(CLIENT)/bin/python || $(PYTHON) -m venv $(CLIENT)
	@$(BIN)/uv pip install $(QUIET) --no-deps --python $(CLIENT)/bin/python $(FIND_LINKS) -r requirements/client.txt
	@touch $@

test-vllm: $(READY) $(VLLM_READY) ## teachers on the real vLLM, in-process and as `vllm serve`
	@$(BIN)/python -m pytest -q -m vllm tests/vllm $(ARGS)

$(VLLM_READY): requirements/vllm.txt requirements/vllm-overrides.txt | $(READY)
	@test -x $(VLLM)/bin/python || $(PYTHON) -m venv $(VLLM)
	@$(BIN)/uv pip install $(QUIET) --python $(VLLM)/bin/python $(FIND_LINKS) \
		--overrides requirements/vllm-overrides.txt -r requirements/vllm.txt
	@touch $@

bench: $(READY) ## the figures of docs/log.md
	@$(BIN)/python -m benchmarks

test-images: $(READY) ## build the images without an engine and start their commands
	@command -v buildah debootstrap >/dev/null || test "$$(id -u)" != 0 || \
		{ apt-get update -qq && apt-get install -yqq --no-install-recommends buildah debootstrap; }
	@$(BIN)/python -m pytest -q -rs -m images tests/docker $(ARGS)

# For 3.11.0: what only early releases of 3.11 need is pinned too.
lock: $(READY) ## pin every version again
	@for name in base dev; do rm -f requirements/$$name.txt; \
		$(BIN)/uv pip compile --quiet --python $(BIN)/python --python-version 3.11 \
			--no-header --no-annotate $(FIND_LINKS) \
			requirements/$$name.in -o requirements/$$name.txt && \
		sed -i 's/^\(torch==[0-9.]*\)+cpu/\1/' requirements/$$name.txt; done
	@rm -f requirements/client.txt
	@$(BIN)/uv pip compile --quiet --python $(BIN)/python --python-version 3.11 --no-header --no-annotate \
		$(FIND_LINKS) -c requirements/base.txt requirements/client.in -o requirements/client.txt && \
		sed -i 's/^\(torch==[0-9.]*\)+cpu/\1/' requirements/client.txt && \
		echo 'headroom-ai==0.42.0' >> requirements/client.txt
	@$(BIN)/uv pip compile --quiet --python $(BIN)/python --python-version 3.11 --no-header --no-annotate \
		-c requirements/base.txt requirements/light.in -o requirements/light.txt
	@$(BIN)/uv pip compile --quiet --python $(BIN)/python --python-version 3.11 --no-header --no-annotate \
		$(FIND_LINKS) --overrides requirements/vllm-overrides.txt requirements/vllm.in -o requirements/vllm.txt && \
		sed -i 's/^\(torch==[0-9.]*\)+cpu/\1/' requirements/vllm.txt
	@$(BIN)/uv pip compile --quiet --python-version 3.12 --python-platform x86_64-manylinux_2_28 \
		--no-header --no-annotate requirements/teacher.in -o requirements/teacher.txt

micro-teacher: $(READY) ## train the tests' own language model again; not part of CI
	@$(BIN)/python -m tests.micro_teacher.train $(ARGS)

worlds: $(READY) ## every rule in simulated worlds; rewrites the tables of docs/worlds.md
	@$(BIN)/python -m benchmarks.worlds --write

gold: $(READY) ## who finds people's lines: GOLD=folder of *.jsonl.gz; rewrites the tables of docs/diagnosis.md
	@$(BIN)/python -m benchmarks diagnosis "$(GOLD)" --write

clean: ## remove the virtual environment, caches and embedded services' data
	@rm -rf $(VENV) .farm .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage*
