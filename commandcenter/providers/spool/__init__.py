"""Output that outlives its reader at providers that drop what nobody reads, such as E2B's cloud.

A small program in the sandbox (bash and coreutils) runs the command, passes its output on live and keeps the
last of it in files; another reads on from there. `providers.continuation` says for which providers.
"""

from commandcenter.providers.spool.keeping import forget
from commandcenter.providers.spool.reading import read_on
from commandcenter.providers.spool.start import start

__all__ = ["forget", "read_on", "start"]
