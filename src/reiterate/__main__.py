"""``python -m reiterate``."""

from reiterate.cli import main

main()
