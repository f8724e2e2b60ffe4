"""Specs from Python: the program's numbers, its errors, its interruption."""

import os
import signal
import threading

import numpy as np
import pytest

import gradlaw

SPEC = """
name = "mine"
title = "A law of one's own"
source = "test"
seed = 3
draws = 200
observables = ["loss.l1", "loss.l2"]
[sweep]
d = [16, 64, 256]
[input]
distribution = "gaussian"
[[network]]
label = "dense"
input = ["d"]
layers = [{ type = "dense", units = 32 }, { type = "relu" }, { type = "dense", units = 4 }]
[[claim]]
statement = "loss.l1 grows as the square root"
observable = "loss.l1"
against = "dimension"
exponent = 0.5
tolerance = 0.1
"""


def test_a_spec_is_the_same_as_text_path_and_dictionary(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(SPEC)
    as_dictionary = {
        "name": "mine",
        "title": "A law of one's own",
        "source": "test",
        "seed": 3,
        "draws": 200,
        "observables": ["loss.l1", "loss.l2"],
        "sweep": {"d": np.array([16, 64, 256])},
        "input": {"distribution": "gaussian"},
        "network": [
            {
                "label": "dense",
                "input": ["d"],
                "layers": [{"type": "dense", "units": 32}, {"type": "relu"}, {"type": "dense", "units": 4}],
            }
        ],
        "claim": [
            {
                "statement": "loss.l1 grows as the square root",
                "observable": "loss.l1",
                "against": "dimension",
                "exponent": 0.5,
                "tolerance": np.float64(0.1),
            }
        ],
    }
    results = [gradlaw.verify(spec) for spec in (SPEC, path, str(path), as_dictionary)]
    assert all(result.points["mean"].tolist() == results[0].points["mean"].tolist() for result in results)
    first = results[0]
    assert first.name == "mine" and first.folder is None and first.draws is None
    assert first.points.rows == 6 and first.points["d"].tolist() == [16, 16, 64, 64, 256, 256]
    assert first.points.where(observable="loss.l1")["mean"].shape == (3,)
    [verdict] = first.verdicts
    assert (verdict.verdict, verdict.predicted, verdict.observable) == ("holds", 0.5, "loss.l1") and first.holds
    low, high = verdict.interval
    assert low < verdict.measured < high
    assert "holds" in first._repr_html_() and first.figure._repr_svg_().lstrip().startswith("<svg")


def test_changes_are_keywords_and_results_are_those_of_any_number_of_threads(tmp_path):
    one = gradlaw.run(SPEC, threads=1, draws=100, sweep__d=[16, 32])
    two = gradlaw.run(SPEC, threads=2, out=tmp_path, draws=100, sweep__d=range(16, 33, 16))
    assert one.points["d"].tolist() == [16, 16, 32, 32] and one.points["draws"].tolist() == [100] * 4
    assert one.points["mean"].tolist() == two.points["mean"].tolist()
    assert two.folder == tmp_path / "mine"
    again = gradlaw.load(tmp_path / "mine")
    assert again.verdicts == two.verdicts and "draws = 100" in again.spec


def test_draws_are_kept_where_they_are_asked_for():
    result = gradlaw.run(SPEC, keep_draws=True, draws=64, sweep__d=[16])
    values = np.concatenate([array.ravel() for array in result.draws.values()])
    assert np.isclose(values, result.points["mean"][0], rtol=5).any() and values.size >= 128


def test_several_specs_are_judged_together():
    other = SPEC.replace('name = "mine"', 'name = "other"')
    results = gradlaw.verify([SPEC, other], draws=100)
    assert [result.name for result in results] == ["mine", "other"]
    with pytest.raises(ValueError, match="must differ"):
        gradlaw.verify([SPEC, SPEC])


def test_theory_has_the_values_of_the_points():
    changes = {"observables": ["logit.l2sq", "loss.l1"], "claim": []}
    theory = gradlaw.theory(SPEC, **changes)
    points = gradlaw.run(SPEC, **changes).points
    np.testing.assert_array_equal(theory["theory"], points["theory"])
    exact = points.where(theory_kind="exact")
    assert exact.rows == 3 and np.isnan(theory.where(observable="loss.l1")["theory"]).all()
    z = (exact["mean"] - exact["theory"]) / exact["std_error"]
    assert np.abs(z).max() < 5


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"draws": -1}, "draws = -1"),
        ({"sweep__d": [0]}, "d = 0"),
        ({"observables": ["loss.l1", "los.l2"]}, "los.l2"),
        ({"no_such": 1}, "no_such"),
    ],
)
def test_bad_specs_raise_one_clear_error(change, part):
    with pytest.raises(ValueError, match=part):
        gradlaw.verify(SPEC, **change)


def test_bad_names_and_folders_are_said(tmp_path):
    with pytest.raises(ValueError, match="dense-dimension"):
        gradlaw.verify("dense-dimensoin")
    with pytest.raises(FileNotFoundError, match="points.csv"):
        gradlaw.load(tmp_path)
    assert "dense-dimension" in gradlaw.shipped()


def test_progress_is_told_and_what_it_raises_ends_the_run():
    told = []
    gradlaw.run(SPEC, sampler="explicit", draws=20_000, progress=lambda *place: told.append(place))
    assert told and all(len(place) == 5 and 0 <= place[0] < place[1] for place in told)

    def stop(*_):
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        gradlaw.run(SPEC, sampler="explicit", draws=5_000_000, progress=stop)


@pytest.mark.skipif(os.name != "posix", reason="sends a signal to itself")
def test_control_c_interrupts_a_run(tmp_path):
    # Shells start what runs in the background with this signal ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = threading.Timer(1.0, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        gradlaw.run(SPEC, out=tmp_path, sampler="explicit", draws=50_000_000)
    timer.join()
