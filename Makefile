# make test    everything that must hold before a commit
# make demo    make a shot, repair it, say where the picture is
# make bench   figures like docs/figures.md's, over the clips in CASES, into build/
# make docs    docs/cli.md, the Nuke node's knobs and the pictures of its panels, from their tables
# make site    the documentation as a site, in build/site; a warning is an error
# make gallery the pictures of docs/gallery.md again, from the demo's shot; needs chromium
# make clean   remove everything that the above made
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/ready
CASES  ?= demo

.PHONY: test lint demo bench docs site gallery clean

test: lint
	$(BIN)/python -m pytest -W error -n auto --maxprocesses 8 --dist loadfile

lint: $(READY)
	rm -rf build
	$(BIN)/ruff check .
	$(BIN)/mypy

demo: $(READY)
	$(BIN)/infusion demo demo
	@test -z "$$DISPLAY$$WAYLAND_DISPLAY" || ! command -v xdg-open >/dev/null || xdg-open demo/contact_sheet.png

bench: $(READY)
	$(BIN)/infusion bench $(CASES) --recipes draft,telea -o build/bench.json --markdown build/bench.md

docs: $(READY)
	$(BIN)/python -m infusion_cli.reference docs/cli.md
	$(BIN)/python -m infusion_cli.gizmo nuke_gizmos/Infusion.gizmo
	$(BIN)/python -m infusion_cli.gizmo_page docs/nuke.md

site: $(READY)
	$(BIN)/mkdocs build --quiet

gallery: $(READY)
	$(BIN)/python docs/gallery.py demo

$(READY): setup.py pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit((3, 10) > sys.version_info[:2] and "Infusion needs Python 3.10 or newer")'
	@# an activated .venv may be the first Python of the path: it cannot make itself anew
	base=$$($(PYTHON) -c 'import sys; print(sys._base_executable)') && rm -rf $(VENV) && $$base -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt setuptools
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-build-isolation --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) build dist demo infusion_ofx/ofx/*.ofx.bundle *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
