"""What can go wrong when processes are started, in words that tell the operator what to do."""


class StartError(Exception):
    """Something on this machine keeps a process from starting; the message says what to do about it."""
