"""Which form of answer a client asks for: content negotiation of GraphQL over HTTP."""

from enum import StrEnum


class AnswerType(StrEnum):
    """The media types of answers that are no stream."""

    GRAPHQL_RESPONSE = "application/graphql-response+json"
    JSON = "application/json"


def preferred_answer(accept: str | None) -> AnswerType:
    """The answer's type by an `Accept` header; JSON where the header names nothing that we have."""
    best, best_quality = AnswerType.JSON, 0.0
    for media_range, quality in _media_ranges(accept or "*/*"):
        if media_range == AnswerType.GRAPHQL_RESPONSE:
            candidate = AnswerType.GRAPHQL_RESPONSE
        elif media_range in (AnswerType.JSON, "application/*", "*/*"):
            candidate = AnswerType.JSON
        else:
            continue
        if quality > best_quality:
            best, best_quality = candidate, quality
    return best


def wants_page(accept: str | None) -> bool:
    """Whether a browser asks for a page to show."""
    return any(media_range == "text/html" for media_range, _ in _media_ranges(accept or ""))


def is_json(content_type: str | None) -> bool:
    """Whether a request's body says that it is JSON in UTF-8, the only form that is taken."""
    media_type, *parameters = (part.strip().lower() for part in (content_type or "").split(";"))
    charsets = [
        value.strip('"') for name, _, value in (p.partition("=") for p in parameters) if name == "charset"
    ]
    return media_type == "application/json" and all(charset in ("utf-8", "utf8") for charset in charsets)


def _media_ranges(accept: str) -> list[tuple[str, float]]:
    ranges = []
    for part in accept.split(","):
        media_range, *parameters = (piece.strip().lower() for piece in part.split(";"))
        ranges.append((media_range, _quality(parameters)))
    return ranges


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
