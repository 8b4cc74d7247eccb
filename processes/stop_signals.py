"""Ctrl-C and its kin: once asks to stop, twice hurries."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def stop_signals(again: Callable[[], None]) -> Iterator[asyncio.Event]:
    """An event that the first signal sets; each further one calls `again`."""
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()

    def take() -> None:
        if asked.is_set():
            again()
        asked.set()

    for number in _SIGNALS:
        loop.add_signal_handler(number, take)
    try:
        yield asked
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
