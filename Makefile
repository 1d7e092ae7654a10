# Every target sets up .venv by itself when it is missing or out of date.
# PYTHON=python3.12 chooses another Python for it.
# Each test of a server starts a Python, which would compile everything anew.
unexport PYTHONDONTWRITEBYTECODE
BIN := .venv/bin
ifneq ($(filter-out help clean,$(or $(MAKECMDGOALS),help)),)
BASE := $(shell .ci/python $(PYTHON))
$(if $(BASE),,$(error no Python to run voxline with))
endif
# Not compiled: most of what torch and transformers bring is never imported. No warnings: of Silero's and Moonshine's
# packages a few files are used, without what the rest of them needs.
INSTALL = $(BIN)/pip install --no-compile --no-warn-conflicts --quiet --disable-pip-version-check -c constraints.txt

# Tests that import torch, apart: importing it takes seconds, in every process that collects them.
MODELS := $(addprefix tests/agent/engine/,kokoro process realtime voxtral test_fake_gpu.py test_faults.py test_host.py test_profiles.py) \
	tests/bench/test_engine.py tests/telephony/doctor/test_engine.py tests/test_models.py
# Found by their mark: collecting all others takes longer than running these.
ALONE = $(filter-out $(wildcard $(MODELS)),$(shell grep -rl --include='test_*.py' 'mark\.alone' tests))

.PHONY: help demo serve test test-slow sip-peers check bench-line bench-turns bench-engine bench-replay bench-memory search fuzz fuzz-api schema lock clean

help: ## what there is to make
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

demo: .venv/run ## set up, start a server, make one call to it, show what was said and how fast
	$(BIN)/voxline demo

serve: .venv/run ## set up and answer calls on http://127.0.0.1:8080
	$(BIN)/voxline serve

test: .venv/test ## set up and run the tests
	$(BIN)/pytest -n 4 --dist loadfile -m 'not alone and not slow' $(MODELS:%=--ignore=%)
	$(BIN)/pytest -n 2 --dist loadfile -m 'not alone and not slow' $(MODELS)
	$(BIN)/pytest -m 'alone and not slow' $(ALONE)
	@$(BIN)/python -m tests.debian

test-slow: .venv/slow ## the rest of the tests: floods, leaks, baresip, models in calls, the GPU's kernels, benchmarks in small
	$(BIN)/pytest -n 4 --dist loadfile -m 'slow and not alone'
	$(BIN)/pytest -m 'slow and alone'
	@$(BIN)/python -m tests.debian

sip-peers: .venv/slow ## calls with SIP peers that are not ours; writes docs/sip-peers.md
	$(BIN)/pytest -n 3 --dist loadfile -m peer --peers-page docs/sip-peers.md

check: .venv/test ## types, style, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench-line: .venv/test ## measure the line: cost per frame, calls per core, barge-in
	$(BIN)/python -m bench.line

bench-turns: .venv/test ## measure turn-taking: gaps, cut-offs, interruptions, false and real
	$(BIN)/python -m bench.turns

bench-engine: .venv/test ## measure the models, with random weights: full-size on a GPU, narrow elsewhere
	$(BIN)/python -m bench.engine

bench-replay: .venv/test ## replay the scripted calls a thousand times: the same decisions, and how fast
	$(BIN)/python -m bench.replay

bench-memory: .venv/test ## what a server keeps of calls that are over, in 20,000 calls by each line
	$(BIN)/python -m bench.memory

search: .venv/test ## the property tests alone, TIMES times (10), each time with new examples
	for time in $$(seq $(or $(TIMES),10)); do \
		env -u CI $(BIN)/pytest -n 4 --dist loadfile -q -m 'hypothesis and not slow and not alone' || exit 1; done

fuzz: .venv/fuzz ## bytes made up by atheris for every parser that strangers reach, for FUZZ_S seconds (20)
	$(BIN)/python -m tests.telephony.lines.sip.fuzz -max_total_time=$(or $(FUZZ_S),20)

fuzz-api: .venv/test ## requests made up by schemathesis for the whole API, for API_FUZZ_S seconds (300)
	API_FUZZ_S=$(or $(API_FUZZ_S),300) $(BIN)/pytest -p no:xdist -o log_cli=true tests/telephony/server/openapi/test_fuzz.py

schema: .venv/run ## write the JSON Schemas of the settings and of agents' files, for editors
	$(BIN)/python -m config.schema

lock: .venv/lock ## write the exact packages of a release, with hashes, to deploy/
	.ci/lock

clean: ## remove the set-up and everything that was written
	rm -rf .venv out build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

.venv/bin/pip:
	$(BASE) -m venv .venv

# Silero's package asks for torch, which only its other formats need: voxline runs its ONNX file. Of Moonshine's package it
# takes three files.
.venv/run: .venv/bin/pip pyproject.toml constraints.txt
	$(INSTALL) -e '.[embedded]'
	$(INSTALL) --no-deps silero-vad
	@$(INSTALL) --no-deps moonshine-voice || \
		echo "No Moonshine, so pocketsphinx will hear the callers. To try again: rm .venv/run"
	@touch $@

.venv/test: .venv/run
	$(INSTALL) -e '.[embedded,gpu,plot,postgres,sip,traces,dev]'
	$(INSTALL) --no-deps moonshine-voice
	@touch $@

.venv/slow: .venv/test
	$(INSTALL) -e '.[kernels]'
	@touch $@

.venv/lock: .venv/run
	$(INSTALL) -e '.[lock]'
	@touch $@

.venv/fuzz: .venv/test
	$(INSTALL) -e '.[fuzz]'
	@touch $@
