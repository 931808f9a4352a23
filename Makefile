# `make demo` and `make test` are all that a newcomer needs: Python 3.10 or newer, make, and access to PyPI.

PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11 python3.10; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null && echo $$python && break; done)
VENV ?= .venv
BIN = $(VENV)/bin
# Most tests wait for a socket more than they compute; more processes than this would disturb those that measure time.
PARALLEL = --numprocesses 4 --dist worksteal
# All but what concerns the sandbox, the command line, other SDKs and the documentation, which each Python runs alike.
CLIENT = --ignore=tests/flows --ignore=tests/peers --ignore=tests/test_docs.py --ignore=tests/test_pytest_plugin.py \
	--ignore=tests/test_recipes.py --ignore=tests/test_running.py --ignore=tests/test_site.py \
	--ignore-glob='*/test_command_line*' --ignore-glob='*/test_sandbox*'
PIP = $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: catalogue demo test test-client coverage test-slow soak bench bench-quick lint types docs docs-serve api package clean

demo: $(VENV)/demo
	@$(BIN)/python docs/demo.py

test: $(VENV)/test
	$(BIN)/python -m pytest $(PARALLEL)

test-client: $(VENV)/test
	$(BIN)/python -m pytest $(PARALLEL) $(CLIENT)

coverage: $(VENV)/test
	$(BIN)/python -m pytest $(PARALLEL) --cov --cov-report=term

test-slow: $(VENV)/test build/docs/site/index.html
	$(BIN)/python -m pytest $(PARALLEL) --timeout 1500 -m slow

soak: $(VENV)/test
	$(BIN)/python -m tests.soak 20000

bench: $(VENV)/test
	$(BIN)/python -m tests.bench

bench-quick: $(VENV)/test
	$(BIN)/python -m tests.bench quick

# FACTS=folder: reads operations.json and notifications.json there first, when there are newer facts.
catalogue: $(VENV)/demo
	$(if $(FACTS),$(BIN)/python -m tools.catalogue --facts $(FACTS))
	$(BIN)/python -m tools.catalogue

lint: $(VENV)/lint
	$(BIN)/python -m tools.catalogue --check
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/zizmor --offline --quiet .github

# The programs and the pages are written into build/, because pyright checks nothing in a folder whose name starts with a dot.
types: $(VENV)/types
	$(BIN)/mypy
	$(BIN)/pyright --pythonpath $(BIN)/python
	rm -rf build/programs build/pages build/forms
	$(BIN)/python -m tests.typing.programs build/programs
	$(BIN)/python -m tests.typing.pages build/pages
	$(BIN)/python -m tests.typing.forms build/forms
	$(BIN)/mypy build/programs
	$(BIN)/mypy build/pages
	$(BIN)/mypy build/forms
	$(BIN)/pyright --pythonpath $(BIN)/python build/programs/*.py build/pages/*.py build/forms/*.py
	$(BIN)/python -m tests.typing.editor
	$(BIN)/python -m tests.typing.budgets

# Zensical wants its configuration beside the pages, so both are written into build/docs. The second site is a folder of the first.
docs: $(VENV)/docs
	@$(BIN)/python -m tools.site build/docs
	@$(BIN)/zensical build --strict --config-file build/docs/zh.yml
	@$(BIN)/zensical build --strict --config-file build/docs/en.yml
	@$(BIN)/python -m tools.site.search build/docs/site
	@$(BIN)/python -m tools.site.links build/docs/site
	@echo "the site: $(CURDIR)/build/docs/site/index.html (make docs-serve shows it)"

# What the site is made of: a change of it makes the site anew.
SOURCES = $(shell find docs tools/site tools/catalogue wechatpay_chain mkdocs*.yml -type f -not -name '*.pyc')

build/docs/site/index.html: $(SOURCES)
	$(MAKE) docs

docs-serve: build/docs/site/index.html
	@echo "http://127.0.0.1:8000/"
	@$(BIN)/python -m http.server --bind 127.0.0.1 --directory build/docs/site 8000

# Compares the public API with that of the last release, once there is one.
api: $(VENV)/docs
	@release=$$(git describe --tags --abbrev=0 --match 'v*' 2>/dev/null) || { echo "no release yet to compare with"; exit 0; }; \
	$(BIN)/griffe check wechatpay_chain --against "$$release"

# Builds the sdist, and the wheel from it. tests/installed.py then tries the wheel in an environment of its own.
package: $(VENV)/package
	rm -rf dist
	$(BIN)/python -m build --outdir dist
	$(BIN)/twine check --strict dist/*
	$(BIN)/check-wheel-contents dist/*.whl

clean:
	rm -rf .venv* .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache build dist

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Python 3.10 or newer is needed; name one with make PYTHON=…" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --upgrade "pip>=25.1"

$(VENV)/demo: pyproject.toml | $(BIN)/python
	$(PIP) install --editable ".[sandbox]"
	@touch $@

$(VENV)/test $(VENV)/lint $(VENV)/types $(VENV)/docs $(VENV)/package: pyproject.toml | $(BIN)/python
	$(PIP) install --editable ".[sandbox]" --group $(@F)
	@touch $@
