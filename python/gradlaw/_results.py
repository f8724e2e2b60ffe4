"""Results of an experiment: points, verdicts, draws and the figure, as the program writes them into a folder."""

from __future__ import annotations

import csv
import html
import io
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

# Columns that hold words, also where all of them are empty.
_TEXTS = ("network", "observable", "theory_kind")
_MARKS = {"holds": "#1a7f37", "refuted": "#c62828", "inconclusive": "#9a6700", "estimate": "#57606a"}


class Table(Mapping[str, np.ndarray]):
    """Columns of equal length by name. Where a column has numbers, what is empty is NaN."""

    def __init__(self, columns: Mapping[str, np.ndarray]) -> None:
        self._columns = dict(columns)

    @classmethod
    def from_csv(cls, text: str) -> Table:
        """The table of a text in CSV with a header."""
        rows = list(csv.reader(io.StringIO(text)))
        if not rows:
            return cls({})
        return cls({name: _column(name, [row[index] for row in rows[1:]]) for index, name in enumerate(rows[0])})

    def __getitem__(self, name: str) -> np.ndarray:
        return self._columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    @property
    def rows(self) -> int:
        """The number of rows."""
        return len(next(iter(self._columns.values()), ()))

    def where(self, **equal: Any) -> Table:
        """The rows in which columns have these values: ``points.where(observable="loss.l1")``."""
        kept = np.ones(self.rows, dtype=bool)
        for name, value in equal.items():
            kept &= self._columns[name] == value
        return Table({name: column[kept] for name, column in self._columns.items()})

    def to_pandas(self) -> Any:
        """A pandas DataFrame; pandas must be installed."""
        import pandas

        return pandas.DataFrame(self._columns)

    def to_polars(self) -> Any:
        """A polars DataFrame; polars must be installed."""
        import polars

        return polars.DataFrame({name: column.tolist() for name, column in self._columns.items()})

    def __repr__(self) -> str:
        return f"Table({self.rows} rows: {', '.join(self._columns)})"

    def _repr_html_(self) -> str:
        columns = self._columns.values()
        body = [[_cell(column[row]) for column in columns] for row in range(min(self.rows, 50))]
        more = "" if self.rows <= 50 else f"<p>{self.rows - 50} more rows</p>"
        return _html_table(list(self._columns), body) + more


@dataclass(frozen=True)
class Verdict:
    """What became of a claim: ``holds``, ``refuted`` or ``inconclusive``, or ``estimate`` where nothing was claimed."""

    experiment: str
    statement: str
    network: str
    observable: str
    verdict: str
    predicted: float | None
    measured: float | None
    std_error: float | None
    interval: tuple[float, float] | None
    tolerance: float
    p_value: float | None
    reason: str | None
    other: dict[str, Any] = field(repr=False, compare=False)

    @classmethod
    def from_json(cls, entry: dict[str, Any]) -> Verdict:
        """A verdict of ``verdicts.json``; what has no field here is in ``other``."""
        own = [name for name in cls.__dataclass_fields__ if name != "other"]
        ends = entry.get("interval")
        if ends is not None:
            # An end at infinity is null in JSON.
            low, high = ends
            ends = (-np.inf if low is None else low, np.inf if high is None else high)
        values = {name: entry.get(name) for name in own} | {"interval": ends}
        return cls(**values, other={name: value for name, value in entry.items() if name not in own})


@dataclass(frozen=True)
class Results:
    """Results of one experiment.

    ``points`` has a row for each network, observable and point of the sweep; ``draws`` every draw, where they were kept; ``networks``
    a row for each trained network. A notebook shows the verdicts, and the figure by ``figure``.
    """

    name: str
    points: Table
    verdicts: list[Verdict]
    spec: str = field(repr=False)
    networks: Table | None = field(repr=False)
    draws: dict[str, np.ndarray] | None = field(repr=False)
    figure: Figure | None = field(repr=False)
    folder: Path | None

    @property
    def holds(self) -> bool:
        """Whether no claim is refuted or inconclusive."""
        return all(verdict.verdict in ("holds", "estimate") for verdict in self.verdicts)

    def to_pandas(self) -> Any:
        """The points as a pandas DataFrame."""
        return self.points.to_pandas()

    def to_polars(self) -> Any:
        """The points as a polars DataFrame."""
        return self.points.to_polars()

    def _repr_html_(self) -> str:
        head = ["claim", "network", "predicted", "measured", "95 % interval", "verdict"]
        body = []
        for verdict in self.verdicts:
            ends = "" if verdict.interval is None else f"[{verdict.interval[0]:.4g}, {verdict.interval[1]:.4g}]"
            colour = _MARKS.get(verdict.verdict, "inherit")
            body.append(
                [
                    html.escape(verdict.statement),
                    html.escape(verdict.network),
                    _cell(verdict.predicted),
                    _cell(verdict.measured),
                    ends,
                    f'<b style="color:{colour}">{html.escape(verdict.verdict)}</b>',
                ]
            )
        return _html_table(head, body)


@dataclass(frozen=True)
class Figure:
    """A figure as SVG, which a notebook shows."""

    svg: str = field(repr=False)

    def _repr_svg_(self) -> str:
        return self.svg

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the SVG."""
        Path(path).write_text(self.svg, encoding="utf-8")


def load(folder: str | os.PathLike[str]) -> Results:
    """Reads the results that ``gradlaw run``, ``gradlaw verify`` or this module left in a folder."""
    folder = Path(folder)

    def text(name: str) -> str | None:
        path = folder / name
        return path.read_text(encoding="utf-8") if path.exists() else None

    points, verdicts, spec = text("points.csv"), text("verdicts.json"), text("spec.toml")
    if points is None or verdicts is None or spec is None:
        raise FileNotFoundError(f"{folder}: holds no results; must have points.csv, verdicts.json and spec.toml")
    networks, figure = text("networks.csv"), text("figure.svg")
    draws = None
    if (folder / "draws.npz").exists():
        with np.load(folder / "draws.npz") as archive:
            arrays = {name: archive[name] for name in archive.files}
        # Texts say what the arrays stand for.
        draws = {name: array for name, array in arrays.items() if array.dtype.kind == "f"}
    return Results(
        name=folder.resolve().name,
        points=Table.from_csv(points),
        verdicts=[Verdict.from_json(entry) for entry in json.loads(verdicts)],
        spec=spec,
        networks=None if networks is None else Table.from_csv(networks),
        draws=draws,
        figure=None if figure is None else Figure(figure),
        folder=folder,
    )


def _column(name: str, texts: list[str]) -> np.ndarray:
    """Numbers where all texts are numbers or empty, else the texts."""
    if name in _TEXTS:
        return np.array(texts, dtype=object)
    try:
        numbers = np.array([float(text) if text else np.nan for text in texts])
    except ValueError:
        return np.array(texts, dtype=object)
    if texts and all(text and text.lstrip("-").isdigit() for text in texts):
        return np.array([int(text) for text in texts])
    return numbers


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return ""
    return f"{value:.4g}" if isinstance(value, float) else html.escape(str(value))


def _html_table(head: list[str], body: list[list[str]]) -> str:
    rows = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in body)
    return "<table><thead><tr>" + "".join(f"<th>{name}</th>" for name in head) + f"</tr></thead><tbody>{rows}</tbody></table>"
