"""Which key of a model a mistyped one may mean."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import get_args

from pydantic import BaseModel


def close_key(model: type[BaseModel], path: Sequence[str | int]) -> str | None:
    """Return the known key that is most like the last one of a path, or None if none is.

    Args:
        model: The model of the whole file.
        path: Keys and numbers of list items that lead to a key, as pydantic names them.
    """
    sections = list(_sections(model))
    for part in path[:-1]:
        below = [
            section
            for one in sections
            for name, field in one.model_fields.items()
            if part in (name, field.alias)
            for section in _sections(field.annotation)
        ]
        # Keys of a mapping, numbers of items and names of union members lead to no other model.
        sections = below or sections
    keys = sorted({field.alias or name for one in sections for name, field in one.model_fields.items()})
    close = get_close_matches(str(path[-1]), keys, 1, 0.7)
    return close[0] if close else None


def _sections(annotation: object) -> Iterator[type[BaseModel]]:
    """Yield the models in a type: itself, or those inside lists, mappings, unions and annotations."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _sections(argument)
