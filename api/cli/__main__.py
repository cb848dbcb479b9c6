"""`python -m api.cli` is the `farm` command."""

from api.cli.main import run

run()
