"""An entry of the table of options."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Option:
    """What is known of an option besides its name, type and default.

    Attributes:
        help: one line.
        read: a value as it is typed to what it means.
        choices: the values there are.
        arguments: the others of ``ArgumentParser.add_argument``.
        kind: of model that it belongs to.
        group: of the help text; options of the group ``window`` exclude each other.
        axis: may vary over a grid.
        written: into pictures and reports.
        own: of the guide of a picture alone: it may be another for each picture of a batch.
    """

    help: str | None = None
    read: Callable[[str], Any] = str
    choices: tuple[str, ...] | None = None
    arguments: dict[str, Any] = dataclasses.field(default_factory=dict)
    kind: Literal["any", "checkpoint", "pipeline"] = "any"
    group: str = ""
    axis: bool = False
    written: bool = False
    own: bool = False

    def add_to(self, target: Any, name: str, default: Any) -> None:
        """Add it to a parser or a group of one."""
        arguments = dict(self.arguments)
        if "action" not in arguments:
            arguments["type"] = self.read
        if self.choices is not None:
            arguments["choices"] = self.choices
        target.add_argument(flag_of(name), dest=name, default=default, help=self.help, **arguments)


def option(default: Any, help: str | None = None, **known: Any) -> Any:
    """A field of the table; arguments that :class:`Option` does not have are the parser's."""
    own = {field.name for field in dataclasses.fields(Option)}
    arguments = {name: value for name, value in known.items() if name not in own}
    entry = Option(help, arguments=arguments, **{n: v for n, v in known.items() if n in own})
    return dataclasses.field(default=default, metadata={"option": entry})


def flag_of(name: str) -> str:
    """An option as it is typed."""
    # A field cannot have the name of a keyword of the language, such as class.
    return f"--{name.rstrip('_').replace('_', '-')}"
