# What people use when they work with CommandCenter. `make` alone lists it.
# A machine needs Python 3.11 or later (with venv), make and git: see scripts/set-up.

.DEFAULT_GOAL := help
.PHONY: help set-up run test soak check fmt bench schema docs clean

# npm keeps its cache here, so that it needs no home folder; and Node, which brings a list of certificates of
# its own, also trusts those of the machine, such as a company's proxy.
export npm_config_cache ?= $(CURDIR)/.tools/npm
certificates := $(firstword $(wildcard /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt))
ifneq ($(certificates),)
export NODE_EXTRA_CA_CERTS ?= $(certificates)
endif

help:  ## List these commands
	@grep -hE '^[a-z-]+:.*## ' $(firstword $(MAKEFILE_LIST)) | sort | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

set-up:  ## Install everything into this folder (every other command does it first)
	@scripts/set-up

run: set-up  ## Start everything, and print the address and a sign-in link
	@.venv/bin/commandcenter up

test: set-up  ## Run the tests; more to pytest: make test OPTIONS="-k sandboxes"
	@.venv/bin/python -m pytest $(OPTIONS)

soak: set-up  ## Break everything at random for long; more to it: make soak OPTIONS="--minutes 10"
	@.venv/bin/python -m pytest tests/faults/test_fairness.py tests/faults/test_random_faults.py \
		-s --minutes 5 $(OPTIONS)

check: set-up  ## Lint, types, layers, generated files
	@.venv/bin/python -m ruff check
	@.venv/bin/python -m ruff format --check
	@.venv/bin/python -m mypy
	@.venv/bin/lint-imports
	@.venv/bin/python -m scripts.configuration --check
	@.venv/bin/python -m scripts.printed_schema --check

fmt: set-up  ## Format, and mend what the linter can mend
	@.venv/bin/python -m ruff check --fix
	@.venv/bin/python -m ruff format

bench: set-up  ## Measure, and print the figures
	@.venv/bin/python -m benchmarks $(OPTIONS)

schema: set-up  ## Write schema/schema.graphql from the code
	@.venv/bin/python -m scripts.printed_schema $(OPTIONS)

docs: set-up  ## Write the generated pages of docs/
	@.venv/bin/python -m scripts.configuration

clean:  ## Remove what was installed and built here; data stay
	rm -rf .venv .tools .mypy_cache .ruff_cache .pytest_cache .import_linter_cache web/*/dist web/*/node_modules
