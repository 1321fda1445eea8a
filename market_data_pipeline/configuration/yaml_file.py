"""Read one YAML file into a pydantic model, and say in which line it is wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from market_data_pipeline.configuration.mistakes import Key, known_part, mistake_lines
from market_data_pipeline.domain.errors import ConfigurationError

_SHOWN = 8
_DEEPEST = 40
# Aliases of aliases unfold without end; no configuration has as many values as this.
_MOST_VALUES = 100_000
# Of the readers of PyYAML, where a tag does not fit its value, or a number has too many digits.
_UNREADABLE = (ValueError, TypeError, AttributeError, KeyError, OverflowError)


class Section(BaseModel):
    """A part of a configuration file: unknown keys are refused, and nothing changes after it was read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass
class _Places:
    """Where each key stands: its line (from 1), and the text as it was written."""

    lines: dict[tuple[Key, ...], int] = field(default_factory=dict)
    texts: dict[tuple[Key, ...], str] = field(default_factory=dict)
    values: int = 0


class _Loader(yaml.SafeLoader):
    """Plain YAML; numbers with decimals stay exact (0.10 has two of them)."""

    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Compose a node, no deeper than configurations are: PyYAML calls itself for each level."""
        self._depth += 1
        if self._depth > _DEEPEST:
            raise yaml.composer.ComposerError(None, None, f"nested deeper than {_DEEPEST} levels", self.get_mark())
        node: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> object:
        """Make a value, or say in which line none can be made."""
        try:
            return super().construct_object(node, deep)
        except _UNREADABLE:
            written = f"{node.value!s:.40}" if isinstance(node, yaml.ScalarNode) else "this"
            kind = str(node.tag).rpartition(":")[2]
            raise yaml.constructor.ConstructorError(None, None, f"{written} cannot be read as {kind}", node.start_mark) from None


def _exact(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> Decimal | float:
    text = str(loader.construct_scalar(node))
    try:
        return Decimal(text.replace("_", ""))
    except InvalidOperation:  # .inf, .nan, 1:30.5
        return loader.construct_yaml_float(node)


def _date(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> object:
    try:
        return loader.construct_yaml_timestamp(node)
    except ValueError:  # 2024-02-30: the model refuses it, and knows the line
        return loader.construct_scalar(node)


_Loader.add_constructor("tag:yaml.org,2002:float", _exact)
_Loader.add_constructor("tag:yaml.org,2002:timestamp", _date)


def read_yaml[M: BaseModel](path: Path, model: type[M]) -> M:
    """Return the model that a YAML file describes.

    Raises:
        ConfigurationError: If the file cannot be read, is no YAML, or does not fit the model; with file, line and key.
    """
    return parse_yaml(read_text(path), str(path), model)


def read_text(path: Path) -> str:
    """Return the text of a file, line ends as they are.

    Raises:
        ConfigurationError: If it cannot be read.
    """
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        raise ConfigurationError(f"There is no file {path}.{_others_beside(path)}") from None
    except IsADirectoryError:
        raise ConfigurationError(f"{path} is a folder. Name a file in it.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}.") from None


def _others_beside(path: Path) -> str:
    """Return what else is in the folder of a file that is not there."""
    if not path.parent.is_dir():
        return f" There is no folder {path.parent} either."
    beside = sorted(one.name for one in path.parent.iterdir() if one.suffix == path.suffix and one.is_file())
    names = get_close_matches(path.name, beside, _SHOWN, 0.0)
    if not names:
        return f" No *{path.suffix} is in {path.parent.resolve()}."
    more = f" and {len(beside) - _SHOWN} more" if len(beside) > _SHOWN else ""
    return f" In {path.parent.resolve()} are: {', '.join(names)}{more}."


def parse_yaml[M: BaseModel](text: str, name: str, model: type[M]) -> M:
    """Return the model that YAML text describes; `name` is the file's name, for messages.

    Raises:
        ConfigurationError: If the text is no YAML, or does not fit the model; with file, line and key.
    """
    content, places = _parse(text, name)
    return validated(model, content, lambda loc, missing: _origin(name, places, loc, missing=missing), places.texts)


def plain_yaml(text: str, name: str) -> object:
    """Return what YAML text holds: mappings, lists and scalars; `name` is the file's name, for messages.

    Raises:
        ConfigurationError: If it is no YAML; with file and line.
    """
    return _parse(text, name)[0]


def mistakes_in[M: BaseModel](text: str, name: str, model: type[M]) -> list[str]:
    """Return every mistake of YAML text, each with file, line and key; none if it fits the model."""
    try:
        content, places = _parse(text, name)
        model.model_validate(content)
    except ConfigurationError as error:
        return [str(error)]
    except ValidationError as error:
        return mistake_lines(error, model, lambda loc, missing: _origin(name, places, loc, missing=missing), places.texts)
    return []


def validated[M: BaseModel](
    model: type[M], content: object, origin: Callable[[tuple[Key, ...], bool], str], texts: Mapping[tuple[Key, ...], str] | None = None
) -> M:
    """Return `content` as a model.

    Args:
        model: What it must be.
        content: Mappings, lists and scalars.
        origin: Says where a key stands, for messages: `backtest.yaml, line 3: strategy.path`; and whether the key is one that is missing.
        texts: Scalars as they were written, where that is known.

    Raises:
        ConfigurationError: With every mistake, up to a handful.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        mistakes = mistake_lines(error, model, origin, texts or {})
    more = [f"… and {len(mistakes) - _SHOWN} more"] if len(mistakes) > _SHOWN else []
    raise ConfigurationError("\n".join(mistakes[:_SHOWN] + more))


def _parse(text: str, name: str) -> tuple[object, _Places]:
    loader = None
    try:
        loader = _Loader(text)  # refuses characters that no YAML has
        node = loader.get_single_node()
        if node is None:
            raise ConfigurationError(f"{name} is empty.")
        places = _Places()
        _walk(node, (), places, name)
        return loader.construct_document(node), places
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigurationError(f"{name}, line {line}: not valid YAML: {error.problem or error}.") from None
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{name}: not valid YAML: {' '.join(str(error).split())}.") from None
    finally:
        if loader is not None:
            loader.dispose()


def _walk(node: yaml.Node, path: tuple[Key, ...], places: _Places, name: str) -> None:
    """Note the line of every key, and refuse a key that stands twice, which YAML readers let pass in silence."""
    if len(path) > _DEEPEST:
        raise ConfigurationError(f"{name}, line {node.start_mark.line + 1}: nested deeper than {_DEEPEST} levels.")
    places.values += 1
    if places.values > _MOST_VALUES:
        raise ConfigurationError(f"{name}, line {node.start_mark.line + 1}: more than {_MOST_VALUES:,} values, once all aliases are followed.")
    places.lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.ScalarNode):
        if node.style is None:
            places.texts[path] = node.value
    elif isinstance(node, yaml.SequenceNode):
        for i, item in enumerate(node.value):
            _walk(item, (*path, i), places, name)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*path, str(key.value))
            line = key.start_mark.line + 1
            if here in places.lines:
                raise ConfigurationError(f"{name}, line {line}: {_dotted(here)} stands twice; the first is in line {places.lines[here]}.")
            places.lines[here] = line
            _walk(value, here, places, name)


def _origin(name: str, places: _Places, loc: tuple[Key, ...], *, missing: bool) -> str:
    path = known_part(loc, places.lines)
    shown = (*path, loc[-1]) if missing else path
    return f"{name}, line {places.lines.get(path, 1)}: {_dotted(shown) or 'the file'}"


def _dotted(path: Sequence[Key]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")
