"""Specs and networks as users give them: a path, a text of TOML, or a dictionary."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any, Union

import numpy as np

Given = Union[str, "os.PathLike[str]", Mapping[str, Any]]


def plain(value: Any) -> Any:
    """The value as JSON has it: NumPy's numbers and arrays become Python's."""
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (list, tuple, range)):
        return [plain(entry) for entry in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return value


def named_text(given: Given, name: str) -> tuple[str, str | None]:
    """A name for messages with a text; a path, or the name of a shipped experiment, without one."""
    if isinstance(given, Mapping):
        return name, json.dumps(plain(given))
    text = os.fspath(given)
    # No path has a line break, and a line alone that assigns something is TOML.
    if "\n" in text or ("=" in text and not os.path.exists(text)):
        return name, text
    return text, None


def changes_text(changes: Mapping[str, Any]) -> str:
    """Changes of a spec by dotted key; in a keyword two underscores stand for a dot."""
    return json.dumps({key.replace("__", "."): plain(value) for key, value in changes.items()})
