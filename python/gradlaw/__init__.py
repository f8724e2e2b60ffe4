"""Checks the scaling laws of neural networks' input gradients by theory and by simulation.

``verify`` runs a spec and judges its claims; ``theory`` gives the exact values; ``gradient`` and ``attack`` take a network with weights
at hand, such as ``{name: value.numpy() for name, value in model.state_dict().items()}``.

>>> import gradlaw
>>> result = gradlaw.verify("dense-dimension", draws=500, sweep__d=[64, 256, 1024])
>>> [verdict.verdict for verdict in result.verdicts][:1]
['holds']
"""

from ._given import Attacked, Gradients, attack, gradient, names
from ._native import __version__
from ._results import Results, Table, Verdict, load
from ._run import run, shipped, theory, verify

__all__ = [
    "Attacked",
    "Gradients",
    "Results",
    "Table",
    "Verdict",
    "__version__",
    "attack",
    "gradient",
    "load",
    "names",
    "run",
    "shipped",
    "theory",
    "verify",
]
