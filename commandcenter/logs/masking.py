"""Masking a stream of output while it comes, however it is split."""

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
