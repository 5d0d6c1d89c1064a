# Two commands, each from a machine with Python 3, make and git: `make backup` and `make test`. `make help` tells the rest.
# Everything that is made lies in .build/.
SHELL := /bin/bash
.DEFAULT_GOAL := help

.PHONY: help test venv lock changelog clean molecule site backup restore prepare verify drill prune benchmark

help:
	@echo "make backup [INVENTORY=path]     back up the servers of an inventory; without one, a sample on this machine"
	@echo "make restore [INVENTORY=path] [SET=id] [LIMIT=host] [CONFIRM=host]"
	@echo "make verify [INVENTORY=path] [SET=id|all] prove again that sets can be restored; the servers may be down"
	@echo "make drill [INVENTORY=path]      restore the newest set for trial, check all of it, measure the time, remove it"
	@echo "make prune [INVENTORY=path]      remove the sets that the policy does not keep; ARGS='--check --diff' tells which, and why the others stay"
	@echo "make prepare INVENTORY=path      give the backup host its read-only access to the servers"
	@echo "make test [STEPS='lint units'] [AGAIN=1]   everything, or these steps and what they need; what has passed on the same"
	@echo "                                 files is not run again without AGAIN=1:"
	@python3 tools/test.py --list
	@echo "make benchmark [WHAT=verify|backup|streams|fleet] [OBJECTS='100000 1000000'] [CHANGE=0.1] [SEED=1] [ROUNDS=3] [DIR=path] [COLD=1] [KEEP=1] [WRITE=1]"
	@echo "               [PARTS='store dump fleet'] [WITHOUT='restic borg']   measure beside what else one would use; docs/benchmarks.md tells of it"
	@echo "make molecule SCENARIO=name [COMMAND=converge]"
	@echo "make site                        build the documentation site in .build/site"
	@echo "make venv                        only the Python tools, in .build/venv"
	@echo "make lock                        pin the newest Python packages in requirements/"
	@echo "make changelog                   write CHANGELOG from its fragments"
	@echo "make clean                       remove .build, the test hosts and their images"

export AGAIN
test:
	@python3 tools/test.py $(STEPS)

venv:
	@tools/system-packages test
	@tools/venv venv test python3.13 python3.12 python3.11

molecule: venv
	@tools/steps/molecule $(SCENARIO) $(COMMAND)

site:
	@tools/site/make

lock:
	@tools/lock

changelog: venv
	@tools/changelog

clean:
	@if command -v podman >/dev/null; then python3 tests/hosts/testhosts.py clean; fi
	@rm -rf .build

# Without INVENTORY: a sample deployment on this machine. More: LIMIT=host, SET=id, CONFIRM=host, ARGS='--check --diff'.
export INVENTORY LIMIT SET CONFIRM ARGS
backup restore prepare verify drill prune:
	@tools/playbook $@

WHAT ?= verify
benchmark:
	@python3 tests/benchmarks/$(WHAT).py $(if $(PARTS),--parts $(PARTS)) $(if $(OBJECTS),--objects $(OBJECTS)) \
		$(if $(CHANGE),--change $(CHANGE)) $(if $(SEED),--seed $(SEED)) $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(DIR),--dir $(DIR)) \
		$(if $(COLD),--cold) $(if $(KEEP),--keep) $(if $(WRITE),--write) $(if $(WITHOUT),--without $(WITHOUT))
