# Every target does the set-up that it needs. `make` alone lists them.

CARGO ?= cargo
PYTHON ?= python3
CARGO_TARGET_DIR ?= target
RUST_MIN := 1.92

FOREBAY := $(CARGO_TARGET_DIR)/release/forebay
SCHEMA := pipelines/pipeline.schema.json
REFERENCE := docs/pipeline-file.md
OPERATORS := docs/cuda-operators.md
# ONNX's cases of single operators. The newest version whose operators ONNX Runtime 1.31.1 nearly all knows.
ONNX := 1.22.0
NODE_TESTS := $(CARGO_TARGET_DIR)/onnx-node-tests
COMPILED_PYTHON := $(CARGO_TARGET_DIR)/compiled-python-$(ONNX)

MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.PHONY: help setup models build demo gpu-bundle test test-scripts verify-onnx test-compiled kernels kernels-check kernels-mutate kernels-fused soak lint bench bench-check bench-check-update bench-peers schema clean-runtime check-rust check-python
# Targets share one cargo lock and one terminal.
.NOTPARALLEL:

help: ## list the targets
	@sed -n 's/^\([a-z][a-z-]*\):[^#]*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{ printf "%-27s%s\n", $$1, $$2 }'

setup: check-python ## fetch ONNX Runtime and nats-server into .runtime/, once
	@$(PYTHON) scripts/setup.py

models: check-python ## fetch the models of the larger examples into .models/, once (64 MB)
	@$(PYTHON) scripts/models.py

build: check-rust ## build the release binary
	@$(CARGO) build --release --locked

demo: check-rust setup build ## score real rows through a real NATS server, and watch
	@$(FOREBAY) demo

test: check-rust setup models test-scripts ## run every test
	@if $(CARGO) nextest --version >/dev/null 2>&1; then \
		$(CARGO) nextest run --locked; \
	else \
		$(CARGO) test --locked --lib --bins --tests; \
	fi
	@$(CARGO) test --locked --doc

test-scripts: check-python
	@$(PYTHON) scripts/test_setup.py
	@$(PYTHON) scripts/test_gpu_bundle.py

verify-onnx: check-rust check-python setup ## run ONNX's ~1,800 operator cases in Python and by `forebay verify`, and compare
	@mkdir -p $(NODE_TESTS)
	@test -x $(NODE_TESTS)/python-$(ONNX)/bin/python || $(PYTHON) -m venv $(NODE_TESTS)/python-$(ONNX)
	@$(NODE_TESTS)/python-$(ONNX)/bin/python -m pip install --quiet --disable-pip-version-check \
		onnx==$(ONNX) onnxruntime==1.31.1 ml_dtypes==0.6.0
	@$(NODE_TESTS)/python-$(ONNX)/bin/python scripts/onnx_node_tests.py write $(NODE_TESTS)/cases
	@$(NODE_TESTS)/python-$(ONNX)/bin/python scripts/onnx_node_tests.py run $(NODE_TESTS)/cases $(NODE_TESTS)/python.json
	@$(CARGO) build --quiet --locked
	@$(CARGO_TARGET_DIR)/debug/forebay verify $(NODE_TESTS)/cases --json > $(NODE_TESTS)/forebay.json || test $$? -eq 1 -o $$? -eq 69
	@$(NODE_TESTS)/python-$(ONNX)/bin/python scripts/onnx_node_tests.py compare $(NODE_TESTS)/python.json $(NODE_TESTS)/forebay.json

test-compiled: check-rust check-python setup models ## run in Python what `forebay compile` writes, and compare with `forebay run`
	@mkdir -p $(CARGO_TARGET_DIR)
	@test -x $(COMPILED_PYTHON)/bin/python || $(PYTHON) -m venv $(COMPILED_PYTHON)
	@$(COMPILED_PYTHON)/bin/python -m pip install --quiet --disable-pip-version-check \
		onnx==$(ONNX) onnxruntime==1.31.1 numpy==2.4.6
	@$(CARGO) build --quiet --locked
	@$(COMPILED_PYTHON)/bin/python scripts/check_compiled.py $(CARGO_TARGET_DIR)/debug/forebay

kernels: check-python ## compile kernels/*.cu into kernels/prebuilt/, which the build embeds; no GPU is needed
	@$(PYTHON) scripts/kernels.py build

kernels-check: check-python ## compile kernels/*.cu, and compare with kernels/prebuilt/ byte for byte
	@$(PYTHON) scripts/kernels.py check

kernels-mutate: check-python ## plant small faults in kernels/*.cu, and count how many the tests notice (an hour)
	@$(PYTHON) tests/cuda/kernels/mutate.py

kernels-fused: check-rust check-python ## compile kernels that are written for models with NVIDIA's NVRTC; no GPU is needed
	@FOREBAY_LIBNVRTC=$$($(PYTHON) scripts/kernels.py nvrtc) && export FOREBAY_LIBNVRTC && \
		$(CARGO) test --locked --test it -- --exact cuda::fused::the_real_compiler_takes_what_is_written --ignored --nocapture

soak: check-rust setup ## kill, freeze and cut off real processes for ten minutes, and count; writes docs/soak.md
	@$(CARGO) test --release --locked --test faults -- --ignored --exact --nocapture soak::soak

lint: check-rust ## check format, lints, and the dependencies' licences and sources
	@$(CARGO) fmt --check
	@$(CARGO) clippy --locked --all-targets -- -D warnings
	@PATH="$(CURDIR)/.runtime/cargo-deny:$$PATH"; export PATH; \
	if $(CARGO) deny --version >/dev/null 2>&1; then \
		$(CARGO) deny --locked --log-level error check --hide-inclusion-graph licenses bans sources; \
	else \
		echo "lint: the dependencies' licences and sources were not checked, cargo-deny is missing: $(PYTHON) scripts/setup.py --only cargo-deny"; \
	fi

gpu-bundle: check-rust check-python setup ## pack what proves and measures the CUDA engine on a machine with a GPU: target/gpu-bundle
	@mkdir -p $(NODE_TESTS)
	@test -x $(NODE_TESTS)/python-$(ONNX)/bin/python || $(PYTHON) -m venv $(NODE_TESTS)/python-$(ONNX)
	@$(NODE_TESTS)/python-$(ONNX)/bin/python -m pip install --quiet --disable-pip-version-check \
		onnx==$(ONNX) onnxruntime==1.31.1 ml_dtypes==0.6.0
	@$(NODE_TESTS)/python-$(ONNX)/bin/python scripts/onnx_node_tests.py write $(NODE_TESTS)/cases
	@$(CARGO) build --release --locked
	@$(PYTHON) scripts/gpu_bundle.py $(CARGO_TARGET_DIR)/gpu-bundle --cases $(NODE_TESTS)/cases

bench: check-rust setup ## measure decode, batch and encode, and the whole pipeline beside bare loops
	@$(CARGO) bench --locked

bench-peers: check-rust check-python setup ## measure forebay beside other programs in turns (10 minutes; installs them); writes docs/peers.md
	@$(PYTHON) benches/peers/run.py --cargo $(CARGO) --cache $(CARGO_TARGET_DIR)/peers

bench-check: check-rust ## count the instructions of decode, batch and encode, and fail where a row costs over 5 % more than in the table
	@$(CARGO) bench --quiet --locked --bench instructions -- --check

bench-check-update: check-rust ## write the table of bench-check anew
	@$(CARGO) bench --quiet --locked --bench instructions -- --update

schema: check-rust ## write the JSON Schema, the reference of pipeline files and that of operators anew from the code
	@$(CARGO) run --quiet --locked -- schema > $(SCHEMA).new || { rm -f $(SCHEMA).new; exit 1; }
	@$(CARGO) run --quiet --locked -- schema --markdown > $(REFERENCE).new || { rm -f $(SCHEMA).new $(REFERENCE).new; exit 1; }
	@$(CARGO) run --quiet --locked -- schema --operators > $(OPERATORS).new || { rm -f $(OPERATORS).new; exit 1; }
	@mv $(SCHEMA).new $(SCHEMA) && mv $(REFERENCE).new $(REFERENCE) && mv $(OPERATORS).new $(OPERATORS)

clean-runtime: ## remove what setup and models fetched
	rm -rf .runtime .models

check-rust:
	@found=$$($(CARGO) --version 2>/dev/null | sed -n 's/^cargo \([0-9]*\.[0-9]*\).*/\1/p'); \
	if [ -z "$$found" ]; then \
		echo "cargo was not found: install Rust $(RUST_MIN) or newer (https://rustup.rs), open a new shell, and run this again." >&2; exit 1; \
	elif [ "$$(printf '%s\n' $(RUST_MIN) "$$found" | sort -V | head -n 1)" != $(RUST_MIN) ]; then \
		echo "Rust $(RUST_MIN) or newer is needed, this is $$found: run \`rustup update stable\`, and run this again." >&2; exit 1; \
	fi

check-python:
	@$(PYTHON) --version >/dev/null 2>&1 || { \
		echo "$(PYTHON) was not found: install Python 3.8 or newer with pip (Debian: apt-get install python3 python3-pip), and run this again." >&2; exit 1; }
