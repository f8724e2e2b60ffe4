"""Given networks: gradients, attacks, and the names of their weights."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from . import _native
from ._results import Table
from ._text import Given, named_text


@dataclass(frozen=True)
class Gradients:
    """Gradients of a network at samples.

    ``gradient`` is ∂ₓL in the shape of the samples, L the softmax cross-entropy with ``label``; ``norms`` holds norms of ∂ₓL
    (``loss.l1``, …) and of ∂ₓf₀ (``logit.l1``, …), one for each sample.
    """

    gradient: np.ndarray
    logits: np.ndarray
    loss: np.ndarray
    label: np.ndarray
    norms: dict[str, np.ndarray]
    nonfinite: int


@dataclass(frozen=True)
class Attacked:
    """What an attack does to a network.

    ``perturbed`` has the samples at each size, without that axis where there is one size; ``by_size`` a row for each size (accuracy,
    vulnerability, damage, its first-order prediction); ``by_sample`` a row for each sample, with the smallest perturbation that makes
    its prediction wrong (infinite where none was found, NaN where it was wrong already); ``success`` is an array of sizes and samples.
    """

    perturbed: np.ndarray
    accuracy: float
    loss: float
    zero_gradients: int
    nonfinite: int
    by_size: Table
    by_sample: Table
    success: np.ndarray = field(repr=False)


def gradient(
    network: Given,
    weights: Mapping[str, Any] | str | os.PathLike[str],
    x: Any,
    label: int | Sequence[int] | np.ndarray | None = None,
    *,
    norms: Sequence[float] = (),
    dtype: str = "f64",
    engine: str = "backprop",
    match: str = "names",
    threads: int | None = None,
    memory: float = 4.0,
) -> Gradients:
    """∂ₓL of a network at samples, by analytic backpropagation.

    ``network`` is a path, a text of TOML or a dictionary with the keys ``input`` and ``layers``; ``weights`` a dictionary of arrays named
    as PyTorch's ``nn.Sequential`` names them (`names` lists them), or a ``.safetensors`` or ``.npz`` file. ``x`` is one sample or many;
    ``label`` a class for all, one for each, or None for the predicted ones. ``norms`` are exponents besides 1, 2 and infinity. ``engine``
    is ``backprop``, ``paths`` or ``differences``; ``match="order"`` goes by the weights' order and shapes instead of their names.
    """
    exponents = [1.0, 2.0, float("inf")]
    exponents += [float(q) for q in norms if float(q) not in exponents]
    answer = _native.gradient(
        named_text(network, "network"),
        _weights(weights),
        _array(x),
        _labels(label),
        exponents,
        engine,
        _single(dtype),
        match,
        threads,
        memory,
    )
    return Gradients(**answer)


def attack(
    network: Given,
    weights: Mapping[str, Any] | str | os.PathLike[str],
    x: Any,
    attack: str,
    epsilon: float | Sequence[float] = (),
    label: int | Sequence[int] | np.ndarray | None = None,
    *,
    box: tuple[float, float] | None = None,
    steps: int | None = None,
    step_size: float | None = None,
    restarts: int = 1,
    target: int | None = None,
    seed: int = 1,
    dtype: str = "f32",
    match: str = "names",
    threads: int | None = None,
    memory: float = 4.0,
) -> Attacked:
    """What an attack does to a network at samples: ``fgsm``, ``pgd``, ``deepfool`` and what else `gradlaw attack --help` lists.

    ``epsilon`` is a size or several: the largest change of a coordinate, in the ℓ₂ norm times the square root of the dimension. ``box``
    bounds the values that coordinates may take. The other arguments are those of `gradient`.
    """
    answer = _native.attack(
        named_text(network, "network"),
        _weights(weights),
        _array(x),
        attack,
        [float(size) for size in np.atleast_1d(np.asarray(epsilon, dtype=np.float64))],
        _labels(label),
        box,
        steps,
        step_size,
        restarts,
        target,
        seed,
        _single(dtype),
        match,
        threads,
        memory,
    )
    tables = {name: Table(answer.pop(name)) for name in ("by_size", "by_sample")}
    return Attacked(**answer, **tables)


def names(network: Given) -> dict[str, tuple[int, ...]]:
    """The arrays that a network needs among its weights, with their shapes; biases and scales it can do without are left out."""
    arrays = _native.names(named_text(network, "network"))
    return {name: tuple(shape) for name, shape, _, optional in arrays if not optional}


def _array(value: Any) -> np.ndarray:
    """A NumPy array of doubles; tensors of PyTorch that need gradients or live elsewhere come as they are on the CPU."""
    if hasattr(value, "detach"):
        value = value.detach().cpu().double().numpy()
    return np.ascontiguousarray(value, dtype=np.float64)


def _weights(weights: Mapping[str, Any] | str | os.PathLike[str]) -> Any:
    if isinstance(weights, Mapping):
        # A number alone keeps its shape of no axes, which `ascontiguousarray` would give one.
        return [(str(name), _array(value).reshape(np.shape(value))) for name, value in weights.items()]
    return os.fspath(weights)


def _labels(label: Any) -> list[int] | None:
    if label is None:
        return None
    if hasattr(label, "detach"):
        label = label.detach().cpu().numpy()
    labels = np.atleast_1d(np.asarray(label))
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer) or (labels < 0).any():
        raise ValueError("label: must be a class, whole and from 0, or one for each sample")
    return [int(one) for one in labels]


def _single(dtype: str) -> bool:
    if dtype not in ("f32", "f64"):
        raise ValueError(f"dtype {dtype!r}: must be 'f32' or 'f64'")
    return dtype == "f32"
