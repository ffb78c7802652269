"""Text on its way out: cut to what a destination takes, never refused for its length."""

ELLIPSIS = "…"
_LONGEST_ENTITY = len("&quot;")


def clean(text: str) -> str:
    """The text without lone surrogates, which no JSON parser outside of Python takes."""
    return text.encode("utf-8", "replace").decode("utf-8")


def cut(text: str, limit: int) -> str:
    """At most `limit` characters; what was cut ends with an ellipsis.

    Nothing is cut inside an entity such as `&amp;`: half of one would be shown as it stands.
    """
    if len(text) <= limit:
        return text
    kept = text[: limit - len(ELLIPSIS)]
    start = kept.rfind("&", max(0, len(kept) - _LONGEST_ENTITY))
    if start >= 0 and ";" not in kept[start:] and ";" in text[start : start + _LONGEST_ENTITY]:
        kept = kept[:start]
    return kept + ELLIPSIS


def one_line(text: str, limit: int) -> str:
    """The text on one line, with everything that could steer a terminal or a log reader escaped, then cut."""
    shown = "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text[: limit + 1]
    )
    return cut(shown, limit)
