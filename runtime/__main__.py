"""`python -m runtime`: serve sandboxes until told to stop; or see `--help`."""

from runtime.command import main

main()
