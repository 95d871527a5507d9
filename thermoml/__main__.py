"""`python -m thermoml`."""

from .cli import main

main()
