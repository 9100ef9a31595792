# Tidegate. `make drill` shows it at work, `make test` is what CI runs. Both install what they need (pinned) into the
# checkout: Python packages into .venv and .venv-terraform, crates into target. Nothing here needs an AWS account.

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
test: ## Run everything CI runs: lint, unit, property, contract, ASL rules, conformance, end to end, Terraform
	@$(PYTHON) tests/run.py

.PHONY: test-rust
test-rust: ## Run the Rust tests only
	@$(PYTHON) tests/run.py rust

.PHONY: test-python
test-python: ## Run the Python tests only: local stack, simulator conformance, end to end
	@$(PYTHON) tests/run.py python

.PHONY: test-terraform
test-terraform: ## Run the Terraform tests only: modules, policies, a drill on what environments/local made, the image
	@$(PYTHON) tests/run.py terraform

.PHONY: test-rights
test-rights: ## Evaluate the calls that the last test-python and test-terraform recorded against the rendered policies
	@$(PYTHON) tests/run.py rights

.PHONY: lint
lint: ## Check format, clippy and the generated contract
	@$(PYTHON) tests/run.py lint

.PHONY: deny
deny: ## Check licences, sources and advisories of the crates (needs cargo-deny and the network)
	cargo deny --locked check

.PHONY: fmt
fmt: ## Format the Rust and, where Terraform is installed, the Terraform code
	cargo fmt --all
	@if command -v terraform >/dev/null; then terraform fmt -recursive terraform; fi

.PHONY: contract
contract: ## Generate statemachine/contract from workers/contract
	cargo run --locked -q -p tidegate-contract --bin tidegate-contract generate statemachine/contract

# make image, make push
DOCKER ?= docker
IMAGE ?= tidegate-worker
TAG ?= $(shell git describe --always --dirty --abbrev=12)
PLATFORM ?= linux/amd64
RUST_IMAGE ?=
BASE_IMAGE ?=
ENVIRONMENT ?= dev
IMAGE_ARGUMENTS = $(foreach name,RUST_IMAGE BASE_IMAGE,$(if $($(name)),--build-arg $(name)=$($(name))))

.PHONY: image
image: ## Build the worker's image (TAG= PLATFORM=linux/arm64 RUST_IMAGE= BASE_IMAGE= by digest)
	$(DOCKER) build --platform $(PLATFORM) $(IMAGE_ARGUMENTS) --build-arg VERSION=$(TAG) \
	    --build-arg REVISION=$(shell git rev-parse HEAD) --tag $(IMAGE):$(TAG) .

.PHONY: push
push: ## Push the image to the repository that ENVIRONMENT=dev has made; prints its digest
	@DOCKER=$(DOCKER) IMAGE=$(IMAGE):$(TAG) TAG=$(TAG) bash terraform/push.sh $(ENVIRONMENT)

# make sim
SEEDS ?= 1000
FROM ?= 1
SEED ?=
COUNT ?=
KINDS ?= all
BUG ?=
REPLAY ?=
SIM := cargo run --locked -q -p tidegate-simulation --bin tidegate-sim --

.PHONY: sim
sim: ## Run the deterministic simulation: SEEDS=1000 FROM=1, one SEED=n with its story, or a REPLAY='line'; BUG=name
	@$(SIM) $(if $(REPLAY),--replay '$(REPLAY)',$(if $(SEED),--seed $(SEED),--seeds $(SEEDS) --from $(FROM)) $(if $(BUG),--bug $(BUG)))

.PHONY: sim-crashes
sim-crashes: ## Run every single fault at every place of the canonical plan
	@$(SIM) --crashes

.PHONY: sim-pairs
sim-pairs: ## Run every pair of faults of the canonical plan: KINDS=crashes only those; in pieces: FROM=1 COUNT=100 first faults
	@$(SIM) --pairs --kinds $(KINDS) --from $(FROM) $(if $(COUNT),--seeds $(COUNT))

.PHONY: recordings
recordings: setup ## Hold the interpreter and the local engine against recorded executions: FILE=path (not part of make test)
	@RECORDINGS='$(abspath $(FILE))' cargo test --locked -q --workspace --lib --features tidegate-simulation/recordings recordings -- --nocapture
	@$(VENV) tests/simulation/recordings.py '$(FILE)'

.PHONY: sim-bugs
sim-bugs: ## Run the switchboard of seeded bugs: how many seeds the net needs for each
	@$(SIM) --bugs

# make chaos, make load, make bench: on private local stacks, free ports. SEED is that of make sim.
KILLS ?= 100
TERMS ?= 30
STOPS ?= 30
EXECUTIONS ?= 100

.PHONY: chaos
chaos: setup build ## Kill, terminate and freeze real workers under real executions (SEED= KILLS= TERMS= STOPS=)
	@$(VENV) tests/chaos/chaos.py --kills $(KILLS) --terms $(TERMS) --stops $(STOPS) $(if $(SEED),--seed $(SEED))

.PHONY: load
load: setup build ## Run many executions at once on one worker (SEED= EXECUTIONS=100)
	@$(VENV) tests/chaos/load.py --executions $(EXECUTIONS) $(if $(SEED),--seed $(SEED))

.PHONY: bench
bench: setup build ## Print detection lag, calls and DynamoDB units per poll, handler times, memory
	@$(VENV) tests/chaos/measure.py

.PHONY: requirements
requirements: ## List which requirement ids the tests cite, and which they do not
	@$(PYTHON) tests/requirements.py

.PHONY: clean
clean: ## Remove what was built and installed
	rm -rf target .venv .venv-terraform .local
