# `make demo` and `make test` are all a new clone needs: each sets up .venv first, which is quick when nothing changed.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

# torchvision and torchaudio are each built for one torch release; this pair also runs ComfyUI. Any torch >= 2.2 with
# its matching torchvision does; a changed TORCH takes effect in a new environment (make clean).
TORCH ?= torch==2.11.0 torchvision==0.26.0

.DEFAULT_GOAL := help
.PHONY: help env demo test test-fast web lint format types contracts goldens benchmark full-size prove-training prove-overfit prove-memory prove-full-size measure-editor train-tiny evaluate-tiny comfyui clean

help:
	@echo "make demo       draw, drag and generate with the small built-in model -> output/demo.mp4"
	@echo "make test       format, lint, types, import contracts and every test"
	@echo "make test-fast  the same without the slow tests"
	@echo "make web        the editor's modules: types and tests"
	@echo "make goldens    check outputs of the original code: make goldens DIRS='path ...' (default: the shipped ones)"
	@echo "make benchmark  time every part beside a plain way to the same (minutes, 5 GB of memory)"
	@echo "make full-size  time the ControlNet with full-size random weights (minutes, 5 GB of memory)"
	@echo "make prove-training  kill a training run 50 times and compare it with one that was left alone (minutes)"
	@echo "make prove-overfit   teach a ControlNet one clip by heart on the shipped video UNet (minutes)"
	@echo "make prove-memory    run a workflow 20 times in one ComfyUI server and watch its memory (minutes)"
	@echo "make prove-full-size run the workflows for full-size models on random weights (9 GB of disk, 14 of memory)"
	@echo "make measure-editor  time the trajectory editor in Chromium"
	@echo "make train-tiny      train a small model for CPUs (hours on two cores; goes on where it stopped)"
	@echo "make evaluate-tiny   judge the built-in model on 200 held-out clips (minutes)"
	@echo "make comfyui    link the pack into ComfyUI, start it and open the first workflow"
	@echo "make format     apply ruff's formatting and fixes"
	@echo "make clean      remove .venv, caches and output"

env: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml Makefile
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.10 or newer is needed, this is " + sys.version) if sys.version_info < (3, 10) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check $(TORCH) --editable ".[test]"
	@touch $@

demo: env
	$(BIN)/python -m draganything_core.generate draganything_core/tiny/sample/motion.json --model tiny --out output/demo.mp4

# The editor's modules: tsc checks their types, node runs their tests.
NODE := $(shell node -e 'process.exit(parseInt(process.version.slice(1)) < 20 ? 1 : 0)' 2>/dev/null && command -v npm)
WEB_READY := tests/web/node_modules/.ready

$(WEB_READY): tests/web/package.json tests/web/package-lock.json
	npm --prefix tests/web ci --no-audit --no-fund --silent
	@touch $@

ifeq ($(NODE),)
web:
	@echo "!!! THE EDITOR WAS NOT TESTED: node 20 or newer with npm is not installed !!!"
else
web:
	@$(MAKE) --no-print-directory $(WEB_READY) || echo "!!! THE EDITOR'S TYPES WERE NOT CHECKED: npm could not install TypeScript !!!"
	@if [ -f $(WEB_READY) ]; then tests/web/node_modules/.bin/tsc -p tests/web && tests/web/node_modules/.bin/tsc -p tests/web/tsconfig.dom.json; fi
	cd tests/web && node --test *.test.js
endif

# One process a core and one thread a process: thread pools that share cores wait for each other.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --dist loadgroup

test: lint types contracts web
	$(PYTEST)

test-fast: lint types contracts web
	$(PYTEST) -m "not slow"

lint: env
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

format: env
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: env
	$(BIN)/mypy

contracts: env
	$(BIN)/lint-imports

DIRS ?= tests/goldens/A tests/goldens/B tests/goldens/C tests/goldens/D
goldens: env
	$(BIN)/python tests/goldens/check.py $(DIRS)

benchmark: env
	$(BIN)/python -m benchmarks --page docs/performance.md

full-size: env
	$(BIN)/python -m benchmarks.full_size_controlnet --dtype bf16
	$(BIN)/python -m benchmarks.full_size_controlnet --dtype fp32

prove-training: env
	OMP_NUM_THREADS=1 $(BIN)/python tests/prove_training.py

prove-overfit: env
	$(BIN)/python tests/prove_overfit.py

prove-memory: env
	$(BIN)/python tests/host/prove_memory.py

FULL_SIZE ?= output/full_size
prove-full-size: env
	$(BIN)/python tests/host/prove_full_size.py $(FULL_SIZE)

measure-editor: env
	$(BIN)/python tests/browser/measure_editor.py

# Two processes of one thread each; PROCESSES=1 on one core. Each run goes on where it was stopped.
PROCESSES ?= 2
TRAIN := OMP_NUM_THREADS=1 $(BIN)/torchrun --standalone --nproc-per-node $(PROCESSES) -m draganything_core.train

train-tiny: env
	$(TRAIN) tiny_autoencoder.yaml
	$(TRAIN) tiny_base.yaml
	$(TRAIN) tiny.yaml
	$(BIN)/python -m draganything_core.tiny.pack --svd runs/tiny/base/weights --controlnet runs/tiny/controlnet/weights

evaluate-tiny: env
	OMP_NUM_THREADS=1 $(BIN)/torchrun --standalone --nproc-per-node $(PROCESSES) -m draganything_core.evaluate --model tiny --out output/heldout

comfyui:
	$(PYTHON) nodes/start_comfyui.py $(ARGS)

clean:
	rm -rf $(VENV) output tests/web/node_modules .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache *.egg-info
