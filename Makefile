.PHONY: run test eval replay lint lock

run:     ## answer the question in config/pilotage.yaml
	uv run crewai run

test:    ## all tests, offline
	uv run --group dev pytest

eval:    ## the golden questions
	uv run pilotage eval

replay:  ## the sessions in the browser
	uv run pilotage replay

lint:    ## ruff and mypy, strict
	uv run --group dev ruff check .
	uv run --group dev ruff format --check .
	uv run --group dev mypy

lock:    ## resolve anew and pin every version in pyproject.toml
	uv run --no-project python scripts/lock.py
