"""Commands whose every byte is known beforehand, so that what was lost, doubled or made up is seen."""

import hashlib
from dataclasses import dataclass
from random import Random
from typing import Self

STREAMS = ("STDOUT", "STDERR")
HURRY = "/tmp/hurry"
"""Once a sandbox has this file, its writers pause no more."""

# In a sandbox there need be no more than Python's standard library; the same lines are run here.
_PIECE = """
def piece(name, number):
    digest = hashlib.sha256(f"{name}/{number}".encode()).digest()
    return digest * (1 + digest[0] * scale // 64)
"""
_WRITER = """
import hashlib, os, sys, time
seed, pieces, scale, pause = {seed}, {pieces}, {scale}, {pause}
{piece}
for number in range(pieces):
    for stream, name in ((sys.stdout, "STDOUT"), (sys.stderr, "STDERR")):
        stream.buffer.write(piece(f"{{seed}}/{{name}}", number))
        stream.buffer.flush()
    if not os.path.exists("{hurry}"):
        time.sleep(pause)
sys.exit({exit_code})
"""


@dataclass(frozen=True)
class Writer:
    """Writes `pieces` to each stream, `pause` seconds apart, each of 32 to 128 times `scale` bytes."""

    seed: int
    pieces: int
    pause: float
    scale: int = 16
    exit_code: int = 0

    @classmethod
    def random(cls, chance: Random, *, most_seconds: float) -> Self:
        """Short or long, loud or quiet."""
        pieces = chance.randint(1, 200)
        return cls(
            seed=chance.getrandbits(32),
            pieces=pieces,
            pause=chance.random() * most_seconds / pieces,
            scale=chance.choice([1, 16, 64]),
            exit_code=chance.choice([0, 0, 1, 7, 42, 255]),
        )

    @property
    def seconds(self) -> float:
        """How long it takes at least."""
        return self.pieces * self.pause

    @property
    def command(self) -> str:
        """For `executeCommand`."""
        script = _WRITER.format(
            seed=self.seed,
            pieces=self.pieces,
            scale=self.scale,
            pause=self.pause,
            exit_code=self.exit_code,
            piece=_PIECE,
            hurry=HURRY,
        )
        return f"exec python3 -c '{script}'"

    def output(self, stream: str) -> bytes:
        """All that it writes to a stream."""
        known: dict[str, object] = {"hashlib": hashlib, "scale": self.scale}
        exec(_PIECE, known)
        piece = known["piece"]
        assert callable(piece)
        return b"".join(piece(f"{self.seed}/{stream}", number) for number in range(self.pieces))
