# make demo   works the example exam and says where the results are
# make test   linter, formatter, types, tests, executed documentation
# make help   the rest
#
# Everything happens in .venv, with the versions in constraints.txt. PYTHON=… picks an interpreter.

VENV   := .venv
BIN    := $(VENV)/bin
BUILD  := build
BENCH  := .venv-bench
TORCH  ?= torch==2.13.0
EXAM   := examples/exam.md
SHEET  ?= examples/siamese.sheet
EDITOR := src/backproof/web/assets
N      ?= 2000
PYTEST ?=

# A python3 of 3.11 or newer, else the newest of python3.13, python3.12, python3.11 that is there.
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
FIND_PYTHON = for p in python3 python3.13 python3.12 python3.11 python; do \
	if $$p -c '$(NEW_ENOUGH)' >/dev/null 2>&1; then echo $$p; break; fi; done

.DEFAULT_GOAL := help
.PHONY: help demo serve test check-format lint types pytest browser editor bench bench-docs soundness format constraints clean

help:
	@echo "make demo          work $(EXAM), write the results under $(BUILD)/"
	@echo "make serve         the live page, with $(SHEET)"
	@echo "make test          linter, formatter, types, tests, executed documentation"
	@echo "make bench         time deriving, command line and engines against their peers"
	@echo "make bench-docs    put the table of the last run into docs/performance.md"
	@echo "make soundness N=…  claims made at random, verdicts against an independent judge"
	@echo "make format        put the code into the project's format"
	@echo "make constraints   renew constraints.txt from a fresh environment"
	@echo "make editor        bundle the page's editor again (needs npm)"
	@echo "make clean         remove $(VENV), $(BENCH), $(BUILD) and caches"

# --- the environment -----------------------------------------------------------------------

$(BIN)/python:
	@python="$(PYTHON)"; \
	if [ -z "$$python" ]; then python="$$($(FIND_PYTHON))"; fi; \
	if [ -z "$$python" ]; then \
		echo "backproof needs Python 3.11 or newer, and none was found on the path." >&2; \
		echo "Install one, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3" >&2; \
		exit 1; \
	fi; \
	if ! "$$python" -c '$(NEW_ENOUGH)' 2>/dev/null; then \
		echo "backproof needs Python 3.11 or newer; $$python is" \
			"$$("$$python" -c 'import platform; print(platform.python_version())' 2>/dev/null || echo 'not a Python that runs')." >&2; \
		exit 1; \
	fi; \
	echo "Setting up $(VENV) with $$("$$python" --version)"; \
	rm -rf $(VENV); "$$python" -m venv $(VENV) || { \
		rm -rf $(VENV); \
		echo "The environment could not be made; on Debian and Ubuntu, python3-venv is a package of its own." >&2; \
		exit 1; }

$(VENV)/.ready: pyproject.toml constraints.txt | $(BIN)/python
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt hatchling editables
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --no-build-isolation -e .
	@touch $@

$(VENV)/.ready-dev: $(VENV)/.ready
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --no-build-isolation -e '.[dev]'
	@touch $@

$(VENV)/.ready-web: $(VENV)/.ready
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --no-build-isolation -e '.[web]'
	@touch $@

$(VENV)/.ready-pdf: $(VENV)/.ready
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --no-build-isolation -e '.[pdf]'
	@touch $@

# --- what people ask for -------------------------------------------------------------------

# The example contains misprints on purpose, so `work` answers 1 (a claim refuted); 2 and more fail.
demo: $(VENV)/.ready-pdf
	@mkdir -p $(BUILD)
	@$(BIN)/backproof work $(EXAM) --json $(BUILD)/exam.json --tex $(BUILD)/exam.tex \
		--html $(BUILD)/exam.html --pdf $(BUILD)/exam.pdf \
		> $(BUILD)/exam.txt; code=$$?; \
	cat $(BUILD)/exam.txt; \
	if [ $$code -gt 1 ]; then exit $$code; fi
	@echo
	@echo "The working above is in $(BUILD)/exam.txt. The same as a page, $(BUILD)/exam.html (open it in a"
	@echo "browser), as PDF in $(BUILD)/exam.pdf, as data in $(BUILD)/exam.json, as LaTeX in"
	@echo "$(BUILD)/exam.tex. Change $(EXAM) and run it again."
	@echo
	@echo "To write such a sheet and see it worked as you type, or to take a paper and see it marked: make serve,"
	@echo "and for this one: make serve SHEET=$(EXAM)"

serve: $(VENV)/.ready-web
	$(BIN)/backproof serve $(SHEET)

test: lint check-format types pytest

lint: $(VENV)/.ready-dev
	$(BIN)/ruff check .

check-format: $(VENV)/.ready-dev
	$(BIN)/ruff format --check .

types: $(VENV)/.ready-dev
	$(BIN)/mypy --strict src

pytest: $(VENV)/.ready-dev browser
	$(BIN)/python -m pytest $(PYTEST)

# The tests in a browser need Chromium; without it they are skipped, and say so.
browser:
	@for p in chromium chromium-browser google-chrome; do command -v $$p >/dev/null && exit 0; done; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get install -y -qq --no-install-recommends chromium >/dev/null 2>&1 \
		|| echo "Chromium could not be installed: the tests in a browser are skipped."; \
	else \
		echo "There is no Chromium: the tests in a browser are skipped."; \
	fi

# The bundled editor is in the repository; this makes it again from the npm lock file beside it.
editor:
	@mkdir -p $(BUILD)/editor && cp $(EDITOR)/editor/* $(BUILD)/editor/
	@cd $(BUILD)/editor && npm ci --no-audit --no-fund --ignore-scripts
	@cd $(BUILD)/editor && node build.mjs $(CURDIR)/$(EDITOR)

# Peers that only the benchmarks need have an environment of their own; one that cannot be installed
# is left out, and its column says so. TORCH=… names another wheel of torch, for instance a local file.
$(BENCH)/.ready: pyproject.toml constraints.txt | $(BIN)/python
	@$(BIN)/python -m venv --clear $(BENCH)
	@$(BENCH)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt hatchling editables
	@$(BENCH)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt \
		--no-build-isolation -e '.[jax,numba,sklearn,web]' hypothesis threadpoolctl
	@for peer in '$(TORCH)' sympy tensorgrad; do \
		$(BENCH)/bin/python -m pip install --quiet --disable-pip-version-check "$$peer" \
		|| echo "$$peer could not be installed: its column will say so."; done
	@touch $@

bench: $(BENCH)/.ready
	@OPENBLAS_NUM_THREADS=1 $(BENCH)/bin/python -m benchmarks; [ $$? -le 1 ]  # 1: a goal was missed

bench-docs:
	$(BENCH)/bin/python -m benchmarks docs

soundness: $(VENV)/.ready-dev
	$(BIN)/python -m benchmarks.soundness --count $(N)

format: $(VENV)/.ready-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

constraints: $(BIN)/python
	@rm -rf $(BUILD)/fresh && $(BIN)/python -m venv $(BUILD)/fresh
	@$(BUILD)/fresh/bin/python -m pip install --quiet --disable-pip-version-check hatchling editables
	@$(BUILD)/fresh/bin/python -m pip install --quiet --disable-pip-version-check --no-build-isolation -e '.[dev]'
	@{ sed -n '/^#/p' constraints.txt; \
	   $(BUILD)/fresh/bin/python -m pip freeze --exclude-editable; } > $(BUILD)/constraints.txt
	@mv $(BUILD)/constraints.txt constraints.txt && rm -rf $(BUILD)/fresh

clean:
	rm -rf $(VENV) $(BENCH) $(BUILD) dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
