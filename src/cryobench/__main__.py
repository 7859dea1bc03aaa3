"""``python -m cryobench`` is the command line."""

from cryobench.cli.main import run_cli

if __name__ == "__main__":
    run_cli()
