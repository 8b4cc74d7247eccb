"""`python -m runtime`: serve sandboxes until told to stop."""

from runtime.server import main

main()
