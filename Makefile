# Each target sets up first what it needs; a second time that takes a moment. `make -C FOLDER TARGET` works from anywhere.
BIN := .venv/bin

help:
	@echo "make demo     set up and run everything: stores, demo catalogue, API with its pages, trainer"
	@echo "make serve    set up and run the API (settings: TUWEN_* in the environment)"
	@echo "make test     set up and run all tests on real PostgreSQL and Valkey; ARGS='-k words' chooses some"
	@echo "make trust    faults and attacks at full counts -> the table of docs/trust.md; ARGS='2 3' chooses rows"
	@echo "make check    format, lint, types, import arrows"
	@echo "make bench    every published figure in one table"
	@echo "make docs     docs/ as a site, in var/site"
	@echo "make install  only the set-up, into .venv"
	@echo "make sbom     what is installed, as CycloneDX, into sbom.json"
	@echo "make audit    ask whether what is pinned is known to be vulnerable; says how much could be asked"
	@echo "make lock     resolve requirements/*.in anew (needs uv)"

install:
	@scripts/setup.sh runtime

install-dev:
	@scripts/setup.sh dev

demo: install
	@$(BIN)/python -m demo.run

serve: install
	@$(BIN)/tuwen serve $(ARGS)

bench: install-dev
	@$(BIN)/python -m scripts.bench $(ARGS)

# Half of their time the tests wait, so several run at once; fewer of those that hold limits of time.
test: install-dev
ifdef ARGS
	@$(BIN)/python -m pytest $(ARGS)
else
	@$(BIN)/python -m pytest -m "not trust" --numprocesses 3 --dist loadfile; others=$$?; \
	$(BIN)/python -m pytest -m trust --numprocesses 2 --dist loadfile && exit $$others
endif

trust: install-dev
	@$(BIN)/python -m scripts.trust $(ARGS)

check: install-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy app models demo migrations scripts
	$(BIN)/python -m pytest tests/test_architecture.py

sbom: install
	@$(BIN)/python -m scripts.sbom $(ARGS)

audit: install
	@$(BIN)/python -m scripts.audit

docs: install-dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "open var/site/index.html"

lock:
	@$(BIN)/python scripts/lock.py

.PHONY: help install install-dev demo serve bench docs test trust check lock sbom audit
