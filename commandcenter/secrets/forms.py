"""The forms in which output may show a secret: as it is, and as programs commonly write it."""

import html
import json
import re
from base64 import b64encode
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

SHORTEST_FORM_BYTES = 8
LARGEST_BLOCK_BYTES = 1024

# `base64` breaks its lines at 76 characters, PEM and OpenSSL at 64.
_BASE64_LINES = (64, 76)
_URL_SAFE = bytes.maketrans(b"+/", b"-_")
# What encodeURIComponent leaves as it is, beside letters and digits.
_LEFT_BY_JAVASCRIPT = "!'()*-._~"


def blocks_of(value: bytes) -> set[bytes]:
    """Everything to look for so that no form of a value (UTF-8) is overlooked, in blocks of bounded length.

    A long form is looked for block by block: so no more than a block ever has to be waited for.
    """
    forms = {form for form in _forms(value) if len(form) >= SHORTEST_FORM_BYTES}
    return {block for form in forms for block in _blocks(form)}


def _blocks(form: bytes) -> Iterator[bytes]:
    count = -(-len(form) // LARGEST_BLOCK_BYTES)
    for number in range(count):
        yield form[len(form) * number // count : len(form) * (number + 1) // count]


def _forms(value: bytes) -> Iterator[bytes]:
    yield from (line.strip() for line in value.splitlines())
    # A terminal ends lines by two characters.
    yield value.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    for whole in {value, value.strip()}:
        yield whole
        yield whole.hex().encode()
        yield whole.hex().upper().encode()
        yield from _base64_forms(whole)
        yield from _url_forms(whole)
        yield from _quoted_forms(whole.decode())


def _base64_forms(value: bytes) -> Iterator[bytes]:
    """Base64 of the value, whatever stands before and after it there, in both alphabets.

    Of its first and last byte up to four bits are in characters that belong to their neighbours too; such
    a character is part of a form only where the neighbour is known: the end, or the newline of `echo`.
    """
    for before, shared in ((0, 0), (1, 2), (2, 3)):
        ended = b64encode(bytes(before) + value).rstrip(b"=")
        whole = (before + len(value)) * 8 // 6
        with_newline = b64encode(bytes(before) + value + b"\n").rstrip(b"=")
        for form in (
            ended[shared:],
            ended[shared:whole],
            with_newline[shared:],
            *_lines(ended, with_newline),
        ):
            yield form
            yield form.translate(_URL_SAFE)


def _lines(*encoded: bytes) -> Iterator[bytes]:
    for text in encoded:
        for length in _BASE64_LINES:
            yield from (text[start : start + length] for start in range(0, len(text), length))


def _url_forms(value: bytes) -> Iterator[bytes]:
    for form in (
        quote(value, safe=""),
        quote(value, safe="/"),
        quote_plus(value, safe=""),
        quote(value, safe=_LEFT_BY_JAVASCRIPT),
    ):
        yield form.encode()
        yield re.sub(r"%..", lambda escape: escape[0].lower(), form).encode()


def _quoted_forms(text: str) -> Iterator[bytes]:
    """As JSON, Python, a shell and XML write it between quotes."""
    for ascii_alone in (True, False):
        plain = json.dumps(text, ensure_ascii=ascii_alone)[1:-1]
        for_pages = plain.translate({ord(each): f"\\u{ord(each):04x}" for each in "<>&"})
        for form in (plain, plain.replace("/", "\\/"), for_pages):
            yield form.encode()
    yield repr(text)[1:-1].encode()
    yield text.replace("'", "'\\''").encode()
    yield re.sub(r'([\\"$`])', r"\\\1", text).encode()
    yield html.escape(text).encode()
    yield html.escape(text, quote=False).encode()
