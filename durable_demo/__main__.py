"""`python -m durable_demo`: the command line, where its script is not on PATH."""

from durable_demo.cli import main

main()
