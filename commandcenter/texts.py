"""Text that callers give, before it is stored or looked for."""

from commandcenter.errors import InvalidError


def require_text(text: str | None, field: str, longest: int) -> None:
    """Refuse text that is blank, longer than `longest` characters, or cannot be stored; None is no text."""
    if text is None:
        return
    if not len(text.strip()) >= 1 or len(text) > longest:
        raise InvalidError(f"{field} has 1 to {longest} characters, not all of them blank.", (field,))
    require_storable(text, field)


def require_storable(text: str | None, field: str) -> None:
    """Refuse text with a NUL character, which PostgreSQL cannot hold and no argument of a process either."""
    if text is not None and "\0" in text:
        raise InvalidError(f"{field} holds a NUL character, which cannot be stored.", (field,))
