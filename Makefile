# Guike. Needs Python 3.11 or newer and make; everything else comes from package mirrors.
# PYTHON=python3.12 chooses the interpreter; PORT=8001 another port; T='-k tier' narrows the tests.

PYTHON ?= python3
PORT ?= 8000
T ?=

VENV := .venv
BIN := $(VENV)/bin
PY := $(BIN)/python
MANAGE := $(PY) manage.py
PIP_INSTALL := $(PY) -m pip install -qq --disable-pip-version-check --require-hashes
# On servers that live as long as the command.
ON_SERVERS := $(PY) -m config.embedded run --

PO_FILES := $(shell find locale -name '*.po' 2>/dev/null)
MO_FILES := $(PO_FILES:.po=.mo)
# What draws icons: their names stand in templates and programs between quotes.
ICON_USERS := $(shell find templates hotels members loyalty feedback campaigns config -name '*.html' -o -name '*.py' 2>/dev/null)
ICONS := node_modules/@tabler/icons/icons
STATIC_FILES := $(shell find static -type f -not -path 'static/vendor/*' 2>/dev/null)

# An environment whose interpreter is gone, or is not the one asked for, is made anew.
CHOSEN := $(if $(filter file,$(origin PYTHON)),$(PY),$(PYTHON))
VERSION := import sys; print(sys.version_info[:2])
ifneq ($(wildcard $(VENV)/made.stamp),)
  ifneq ($(shell $(PY) -c '$(VERSION)' 2>&1 || true),$(shell $(CHOSEN) -c '$(VERSION)' 2>/dev/null))
    $(shell rm -f $(VENV)/*.stamp)
  endif
endif

.PHONY: help demo prepare-test test assets messages schema requirements lint clean distclean
.DELETE_ON_ERROR:
.NOTPARALLEL:

help:  ## this list
	@awk -F ':.*## ' '/^[a-z%-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/base.stamp messages staticfiles/collected.stamp  ## run the whole system with a demo hotel group (PORT=8000)
	@exec $(MANAGE) demo --port $(PORT)

prepare-test: $(VENV)/test.stamp messages assets

test: prepare-test  ## run all tests on throwaway servers (T='arguments of pytest')
	@exec $(ON_SERVERS) $(PY) -m pytest -n 2 $(T)

bench-%: $(VENV)/base.stamp messages  ## run bench/%.py on throwaway servers (T='its arguments')
	@exec $(ON_SERVERS) $(PY) -m bench.$* $(T)

lint: $(VENV)/test.stamp messages  ## style, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/djlint --quiet --lint templates
	$(BIN)/mypy .
	$(BIN)/lint-imports

schema: $(VENV)/base.stamp  ## write docs/openapi.yaml anew
	@$(MANAGE) spectacular --lang en --validate --fail-on-warn --file docs/openapi.yaml

assets: static/vendor/assets.stamp  ## fetch the front-end libraries with npm

messages: $(MO_FILES) | $(VENV)/base.stamp

requirements: $(VENV)/test.stamp  ## pin requirements/*.in anew, with hashes
	cd requirements && for set in 'base.in -o base.txt' 'test.in -c base.txt -o test.txt'; do \
	  ../$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
	    --no-header --no-emit-index-url --no-emit-find-links $$set || exit 1; \
	done

clean:  ## delete the demo's data
	@if [ -e $(VENV)/base.stamp ]; then $(PY) -m config.embedded clean; else rm -rf var; fi

distclean: clean  ## delete everything that make made
	rm -rf $(VENV) node_modules static/vendor staticfiles $(MO_FILES)

# A stamp stands for a step that ended well: what was broken off halfway is done again.
$(VENV)/made.stamp:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "guike: Python 3.11 or newer is needed; '$(PYTHON)' is not. Choose one: PYTHON=python3.12 make" >&2; exit 1; }
	@echo "Making $(VENV) with $$($(PYTHON) --version) …"
	@$(PYTHON) -m venv --clear $(VENV) || { \
	  echo "guike: $(PYTHON) cannot make virtual environments; on Debian and Ubuntu install python3-venv." >&2; \
	  rm -rf $(VENV); exit 1; }
	@touch $@

$(VENV)/base.stamp: requirements/base.txt $(VENV)/made.stamp
	@echo "Installing what the program needs …"
	@$(PIP_INSTALL) -r requirements/base.txt
	@touch $@

# The pins of test.txt contain those of base.txt.
$(VENV)/test.stamp: requirements/test.txt requirements/base.txt $(VENV)/made.stamp
	@echo "Installing what the program and its tests need …"
	@$(PIP_INSTALL) -r requirements/test.txt
	@touch $(VENV)/base.stamp $@

# Node trusts the machine's certificates, as pip does: a package mirror may have its own.
node_modules/installed.stamp: package.json package-lock.json .npmrc | $(VENV)/base.stamp
	@echo "Fetching the front-end libraries …"
	@PATH="$(CURDIR)/$(BIN):$$PATH" NODE_USE_SYSTEM_CA=1 npm ci --ignore-scripts --loglevel=error
	@touch $@

static/vendor/assets.stamp: node_modules/installed.stamp Makefile $(ICON_USERS)
	@rm -rf static/vendor/icons && mkdir -p static/vendor/icons/outline static/vendor/icons/filled
	@grep -ohE "[\"'][a-z0-9-]+[\"']" $(ICON_USERS) | tr -d "\"'" | sort -u | while read -r name; do \
	  for kind in outline filled; do \
	    if [ -f "$(ICONS)/$$kind/$$name.svg" ]; then cp "$(ICONS)/$$kind/$$name.svg" "static/vendor/icons/$$kind/"; fi; \
	  done; \
	done
	@sed 's|/\*# sourceMappingURL=.*\*/||' node_modules/@tabler/core/dist/css/tabler.min.css > static/vendor/tabler.min.css
	@touch $@

staticfiles/collected.stamp: static/vendor/assets.stamp $(STATIC_FILES) requirements/base.txt
	@echo "Collecting static files …"
	@$(MANAGE) collectstatic --no-input --clear --verbosity 0
	@touch $@

%.mo: %.po | $(VENV)/base.stamp
	@$(PY) -m babel.messages.frontend --quiet compile --input-file $< --output-file $@ --locale zh_Hans
