# Tidegate. `make drill` shows it at work, `make test` is what CI runs. Both install what they need (pinned) into the
# checkout: Python packages into .venv, crates into target. Nothing here needs an AWS account.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv/bin/python
# One build for everything: the same packages and features each time, so that aws-sdk-ec2 is compiled once.
BUILD := cargo build --locked --workspace

# make drill
PLAN ?= crm
TYPE ?= DRILL
SCENARIO ?=
SPEED ?=
APPROVE ?= auto
DECIDE ?= abort
KEEP_STACK ?=
export DECIDE KEEP_STACK PLAN TYPE SCENARIO SPEED APPROVE

# make local-up
MINISTACK_PORT ?= 4566
SIMULATOR_PORT ?= 4590
LOCAL_OPTIONS ?=

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

.PHONY: setup
setup: ## Install the pinned Python packages into .venv
	@PYTHON=$(PYTHON) bash local/venv.sh

.PHONY: build
build: ## Build every binary (the first time takes minutes: aws-sdk-ec2)
	$(BUILD)

.PHONY: drill
drill: setup build ## Run a 3-wave drill on a private local stack (PLAN= TYPE=RECOVERY SCENARIO= SPEED= APPROVE=ask)
	@$(VENV) local/drill.py

.PHONY: local-up
local-up: setup build ## Start the local stack and leave it running; writes .local/env
	@$(VENV) local/stack.py up --ministack-port $(MINISTACK_PORT) --simulator-port $(SIMULATOR_PORT) $(LOCAL_OPTIONS)

.PHONY: local-down
local-down: setup ## Stop what local-up started
	@$(VENV) local/stack.py down

.PHONY: test
test: ## Run everything CI runs: lint, unit, property, contract, ASL rules, conformance, end to end
	@$(PYTHON) tests/run.py

.PHONY: test-rust
test-rust: ## Run the Rust tests only
	@$(PYTHON) tests/run.py rust

.PHONY: test-python
test-python: ## Run the Python tests only: local stack, simulator conformance, end to end
	@$(PYTHON) tests/run.py python

.PHONY: lint
lint: ## Check format, clippy and the generated contract
	@$(PYTHON) tests/run.py lint

.PHONY: fmt
fmt: ## Format the Rust code
	cargo fmt --all

.PHONY: contract
contract: ## Generate statemachine/contract from workers/contract
	cargo run --locked -q -p tidegate-contract --bin tidegate-contract generate statemachine/contract

# make sim
SEEDS ?= 1000
FROM ?= 1
SEED ?=

.PHONY: sim
sim: ## Run the deterministic simulation: SEEDS=1000 FROM=1, or one SEED=n with its story
	@cargo run --locked -q -p tidegate-simulation --bin tidegate-sim -- $(if $(SEED),--seed $(SEED),--seeds $(SEEDS) --from $(FROM))

.PHONY: requirements
requirements: ## List which requirement ids the tests cite, and which they do not
	@$(PYTHON) tests/requirements.py

.PHONY: clean
clean: ## Remove what was built and installed
	rm -rf target .venv .local
