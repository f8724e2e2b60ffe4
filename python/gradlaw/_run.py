"""Specs: run and judged, and their exact values."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from collections.abc import Callable
from typing import Any

from . import _native
from ._results import Results, Table, load
from ._text import Given, changes_text, named_text

Progress = Callable[[int, int, str, int, int], None]


def verify(
    spec: Given | list[Given] | tuple[Given, ...],
    *,
    out: str | os.PathLike[str] | None = None,
    threads: int | None = None,
    memory: float = 4.0,
    fresh: bool = False,
    keep_draws: bool = False,
    progress: Progress | None = None,
    **changes: Any,
) -> Any:
    """Runs a spec and judges its claims; of several, all claims together.

    ``spec`` is the name of a shipped experiment, a path, a text of TOML or a dictionary, or a list of these. Keywords change its keys,
    ``draws=1000`` or ``sweep__d=[64, 256]`` for ``sweep.d``. Results go to a folder with the spec's name under ``out``, from which the same
    call goes on where it was interrupted unless ``fresh``; without ``out`` they are in memory alone. ``memory`` is in GiB. ``progress`` is
    called with the part of the work, the number of parts, what it is, how far it has come, and where it ends at most.

    Returns `Results`, or a list of them for a list of specs. Raises `ValueError` where something in a spec is not allowed, and
    `KeyboardInterrupt` on Ctrl-C, after the state is saved.
    """
    several = isinstance(spec, (list, tuple))
    specs = [named_text(one, "spec") for one in (spec if several else [spec])]
    options = (threads, memory, fresh, keep_draws, progress)
    if out is None:
        with tempfile.TemporaryDirectory(prefix="gradlaw-") as folder:
            folders = _native.run(specs, changes_text(changes), folder, *options)
            results = [dataclasses.replace(load(one), folder=None) for one in folders]
    else:
        results = [load(one) for one in _native.run(specs, changes_text(changes), os.fspath(out), *options)]
    return results if several else results[0]


def run(spec: Given, **options: Any) -> Results:
    """`verify` of one spec, trained or drawn."""
    return verify(spec, **options)


def theory(spec: Given, **changes: Any) -> Table:
    """The exact and asymptotic values of a spec at every point of its sweep, without sampling: the columns of ``points.csv``."""
    text, _ = _native.theory(named_text(spec, "spec"), changes_text(changes))
    return Table.from_csv(text)


def shipped() -> dict[str, str]:
    """The names of the shipped experiments, with their titles."""
    return dict(_native.shipped())
