"""`python -m processes`: the same as `commandcenter`, wherever that is installed."""

from processes.command import main

main()
