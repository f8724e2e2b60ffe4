"""The compiled engine; use the functions of the package, which give its results their Python shape."""

from collections.abc import Callable
from typing import Any

import numpy as np

__version__: str

_Text = tuple[str, str | None]
_Weights = str | list[tuple[str, np.ndarray]]
_Progress = Callable[[int, int, str, int, int], Any] | None

def run(
    specs: list[_Text],
    changes: str,
    out: str,
    threads: int | None,
    memory: float,
    fresh: bool,
    keep_draws: bool,
    progress: _Progress,
) -> list[str]: ...
def theory(spec: _Text, changes: str) -> tuple[str, list[str]]: ...
def shipped() -> list[tuple[str, str]]: ...
def gradient(
    network: _Text,
    weights: _Weights,
    samples: np.ndarray,
    labels: list[int] | None,
    norms: list[float],
    engine: str,
    single: bool,
    match_by: str,
    threads: int | None,
    memory: float,
) -> dict[str, Any]: ...
def attack(
    network: _Text,
    weights: _Weights,
    samples: np.ndarray,
    attack: str,
    epsilons: list[float],
    labels: list[int] | None,
    bounds: tuple[float, float] | None,
    steps: int | None,
    step_size: float | None,
    restarts: int,
    target: int | None,
    seed: int,
    single: bool,
    match_by: str,
    threads: int | None,
    memory: float,
) -> dict[str, Any]: ...
def names(network: _Text) -> list[tuple[str, list[int], str, bool]]: ...
