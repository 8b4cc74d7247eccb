"""Bytes in inputs: given as text, or as base64."""

from base64 import b64decode

from commandcenter.errors import InvalidError


def bytes_of(text: str | None, base64: str | None) -> bytes:
    """The bytes that an input gives as `text` or as `base64`; exactly one of the two."""
    if (text is None) == (base64 is None):
        raise InvalidError("Give exactly one of text and base64.", ("text",))
    if text is not None:
        try:
            return text.encode()
        except UnicodeEncodeError as error:
            raise InvalidError("text holds half a character; give base64 for bytes.", ("text",)) from error
    try:
        return b64decode(base64 or "", validate=True)
    except ValueError as error:
        raise InvalidError("base64 is not valid base64.", ("base64",)) from error
