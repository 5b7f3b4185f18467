"""`python -m relsign` is `relsign`."""

from relsign.cli.main import run

if __name__ == "__main__":
    run()
