"""Names of templates: `alias`, `alias:tag` or `team/alias:tag`, in small letters."""

import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass

from runtime.templates.errors import InvalidTemplateError

DEFAULT_TAG = "default"
LENGTH_LIMIT = 128
TAGS_LIMIT = 50
_IDENTIFIER = re.compile(r"[a-z0-9_-]+")
_TAG = re.compile(r"[a-z0-9_.-]+")


@dataclass(frozen=True)
class TemplateName:
    """What a client calls a template; without a tag it means the one called `default`."""

    alias: str
    tag: str | None = None
    team: str | None = None

    @property
    def effective_tag(self) -> str:
        """The tag that is meant."""
        return self.tag or DEFAULT_TAG


def parse_name(text: str) -> TemplateName:
    """A name or id as a client writes it; raises `InvalidTemplateError`."""
    identifier, colon, tag = text.strip().partition(":")
    team, slash, alias = identifier.rpartition("/")
    return TemplateName(
        alias=_clean(alias, "template ID", _IDENTIFIER, "letters, digits, '-' and '_'"),
        tag=_without_default(clean_tag(tag)) if colon else None,
        team=_clean(team, "namespace", _IDENTIFIER, "letters, digits, '-' and '_'") if slash else None,
    )


def parse_tags(texts: Iterable[str]) -> list[str]:
    """Tags to be assigned, each once, in their order; raises `InvalidTemplateError`."""
    tags = list(dict.fromkeys(clean_tag(text) for text in texts))
    if len(tags) > TAGS_LIMIT:
        raise InvalidTemplateError(f"Invalid tag: at most {TAGS_LIMIT} can be given at once")
    return tags


def clean_tag(text: str) -> str:
    """One tag, checked; raises `InvalidTemplateError`."""
    tag = _clean(text, "tag", _TAG, "letters, digits, '.', '-' and '_'")
    try:
        uuid.UUID(tag)
    except ValueError:
        return tag
    raise InvalidTemplateError(f"Invalid tag: '{text}' has the form of a build's id; choose another")


def _clean(text: str, what: str, pattern: re.Pattern[str], allowed: str) -> str:
    cleaned = text.strip().lower()
    if not pattern.fullmatch(cleaned) or len(cleaned) > LENGTH_LIMIT:
        raise InvalidTemplateError(
            f"invalid {what}: '{text[:LENGTH_LIMIT]}'; expected 1 to {LENGTH_LIMIT} {allowed}"
        )
    return cleaned


def _without_default(tag: str) -> str | None:
    return None if tag == DEFAULT_TAG else tag
