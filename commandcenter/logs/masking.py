"""Masking output while it comes, however it is split."""

from collections.abc import Iterator, Mapping

from commandcenter.logs.records import LogStream
from commandcenter.secrets.masks import SandboxMask
from commandcenter.secrets.matching import SecretForms, covered

# So much of a secret may be shown, so that a prompt that ends like one begins need not wait.
SHORT_BEGINNING_BYTES = 3


class StreamMask:
    """Masks the bytes of one stream: out comes as much as went in, in order, with asterisks over secrets.

    What may be the beginning of a secret is kept until that is decided, at most a form's length.
    `context` says how many bytes, of those that are added first, are known already: they do not come out.
    """

    def __init__(self, context: int = 0) -> None:
        # What is not decided yet: as it came, and with asterisks over what is. `_shown` bytes of it are out.
        self._raw = b""
        self._masked = b""
        self._shown = context

    @property
    def has_short_beginning(self) -> bool:
        """Whether all that is kept is too short to say much of a secret."""
        return self._shown < len(self._raw) <= SHORT_BEGINNING_BYTES

    def add(self, forms: SecretForms | None, data: bytes) -> bytes:
        """Take bytes; returns those that are decided now."""
        raw, masked = self._raw + data, self._masked + data
        ranges, undecided = forms.scan(raw) if forms is not None else ([], len(raw))
        if ranges:
            masked = covered(masked, ranges)
        decided = masked[self._shown : undecided]
        self._raw, self._masked = raw[undecided:], masked[undecided:]
        self._shown = max(self._shown - undecided, 0)
        return decided

    def show(self) -> bytes:
        """Give out what is kept; it stays known, so that the rest of a secret is still masked."""
        kept = self._masked[self._shown :]
        self._shown = max(self._shown, len(self._raw))
        return kept


class OutputMask:
    """Masks the streams of one execution with what its sandbox was given, as far as `mask` knows."""

    def __init__(self, mask: SandboxMask | None, context: Mapping[LogStream, int]) -> None:
        self._mask = mask
        self.masked_with = mask.given.count if mask else 0
        """The sandbox's `secret_count` with which everything so far is masked."""
        self._streams = {stream: StreamMask(size) for stream, size in context.items() if size}

    @property
    def is_behind(self) -> bool:
        """Whether more secrets are known by now than what came so far is masked with."""
        return self._mask is not None and self._mask.given.count != self.masked_with

    @property
    def has_short_beginning(self) -> bool:
        """Whether some bytes wait only because a secret begins like them."""
        return any(mask.has_short_beginning for mask in self._streams.values())

    def catch_up(self) -> None:
        """Mask with what is known now; what was masked with less is added once more."""
        if self._mask is not None:
            self.masked_with = self._mask.given.count

    def add(self, stream: LogStream, data: bytes) -> bytes:
        """Take bytes of a stream; returns those that are decided now."""
        forms = self._mask.given.forms if self._mask else None
        if forms is None and stream not in self._streams:
            return data
        return self._streams.setdefault(stream, StreamMask()).add(forms, data)

    def beginnings(self) -> Iterator[tuple[LogStream, bytes]]:
        """What waits only because a secret begins like it; the rest of one is still masked."""
        for stream, mask in self._streams.items():
            if mask.has_short_beginning:
                yield stream, mask.show()

    def end(self, stream: LogStream) -> bytes:
        """What waits of a stream, because nothing that follows can make more of it."""
        mask = self._streams.pop(stream, None)
        return mask.show() if mask is not None else b""

    def begin_anew(self, stream: LogStream, context: int) -> None:
        """So many bytes that are known come next."""
        self._streams[stream] = StreamMask(context)
