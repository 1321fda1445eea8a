"""What pydantic says of a configuration, in words for whoever wrote the file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from market_data_pipeline.configuration.known_keys import close_key

Key = str | int
_NO_LIST = frozenset({"tuple_type", "list_type", "set_type", "frozen_set_type"})
_NO_SECTION = frozenset({"model_type", "model_attributes_type", "dict_type", "mapping_type"})


def mistake_lines(
    error: ValidationError,
    model: type[BaseModel],
    origin: Callable[[tuple[Key, ...], bool], str],
    texts: Mapping[tuple[Key, ...], str],
) -> list[str]:
    """Return each mistake in a line of its own, in pydantic's order; what only follows from another one is left out.

    Args:
        error: What pydantic found.
        model: The model of the whole file.
        origin: Says where a key stands; and whether the key is one that is missing.
        texts: Scalars as they were written, where that is known.
    """
    found = error.errors(include_url=False)
    meant = {mistake["loc"]: close_key(model, mistake["loc"]) for mistake in found if mistake["type"] == "extra_forbidden"}
    mistyped = {(*loc[:-1], key) for loc, key in meant.items()}
    inside = {mistake["loc"][:i] for mistake in found for i in range(len(mistake["loc"]))}
    lines = []
    for mistake in found:
        kind, loc = mistake["type"], mistake["loc"]
        # A key that is missing because it was mistyped; a list that is too short because pydantic counts no item that is wrong.
        if (kind == "missing" and loc in mistyped) or (kind == "too_short" and loc in inside):
            continue
        close = meant.get(loc)
        hint = f". Did you mean {close}?" if close is not None else ""
        lines.append(f"{origin(loc, kind == 'missing')}: {_in_words(mistake, texts)}{hint}")
    return lines


def known_part(loc: tuple[Key, ...], lines: Mapping[tuple[Key, ...], int]) -> tuple[Key, ...]:
    """Return `loc` without what pydantic adds to it: the names of union members."""
    path: tuple[Key, ...] = ()
    for part in loc:
        if (*path, part) in lines:
            path = (*path, part)
    return path


def _in_words(mistake: ErrorDetails, texts: Mapping[tuple[Key, ...], str]) -> str:
    kind, given, context = mistake["type"], mistake.get("input"), mistake.get("ctx", {})
    if kind == "missing":
        return "is missing"
    if kind == "extra_forbidden":
        return "is no key known here"
    if kind == "string_type" and not isinstance(given, (str, dict, list, type(None))):
        return _not_text(given, mistake["loc"], texts)
    if kind == "value_error":
        return str(context["error"]) if context else mistake["msg"]
    if kind in _NO_LIST:
        return f"must be a list: [{given}]" if _is_scalar(given) else "must be a list: [A, B], or a line with - for each"
    if kind in _NO_SECTION:
        return f"must hold keys of its own, one a line below it{_not(given)}"
    if kind == "too_short":
        return "must name at least one"
    if kind == "union_tag_invalid":
        return f"{context['tag']!r} is no {str(context['discriminator']).strip(chr(39))} known here. There are: {context['expected_tags']}"
    if kind.startswith("date_"):
        return f"must be a date, YYYY-MM-DD{_not(given)}{_why(context)}"
    message = mistake["msg"][0].lower() + mistake["msg"][1:]
    return message.replace("input should be", "must be") + _not(given)


def _not_text(given: object, loc: tuple[Key, ...], texts: Mapping[tuple[Key, ...], str]) -> str:
    written = texts.get(known_part(loc, dict.fromkeys(texts, 0) | _prefixes(texts)), str(given))
    meant = "false" if given is False else "true" if given is True else f"{type(given).__name__} {given}"
    return f'must be text, and YAML reads a bare {written} as {meant}. Write it in quotes: "{written}"'


def _is_scalar(given: object) -> bool:
    return not (given is None or (isinstance(given, (Mapping, Sequence)) and not isinstance(given, str)))


def _not(given: object) -> str:
    return f", not {given!s:.80}" if _is_scalar(given) else ""


def _why(context: Mapping[str, object]) -> str:
    return f" ({context['error']})" if "error" in context else ""


def _prefixes(texts: Mapping[tuple[Key, ...], str]) -> dict[tuple[Key, ...], int]:
    return {path[:i]: 0 for path in texts for i in range(1, len(path))}
