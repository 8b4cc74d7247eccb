"""`python -m runtime`: serve sandboxes until told to stop."""

from runtime.command import main

main()
