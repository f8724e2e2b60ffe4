"""Given networks from Python, against gradients worked out in NumPy."""

import numpy as np
import pytest

import gradlaw

NETWORK = {
    "input": [2, 6, 6],
    "layers": [
        {"type": "conv", "channels": 4, "kernel": 3, "padding": 1, "weights": "stem.conv"},
        {"type": "batch-norm", "weights": "stem.norm"},
        {"type": "relu"},
        {
            "type": "residual",
            "layers": [
                {"type": "conv", "channels": 4, "kernel": 3, "padding": 1, "weights": "block.conv"},
                {"type": "batch-norm", "weights": "block.norm"},
            ],
        },
        {"type": "relu"},
        {"type": "global-avg-pool"},
        {"type": "dense", "units": 3, "weights": "head"},
    ],
}


def state(rng):
    """The arrays of such a module in PyTorch."""

    def norm(name, channels):
        return {
            f"{name}.weight": rng.uniform(0.5, 1.5, channels),
            f"{name}.bias": rng.normal(size=channels),
            f"{name}.running_mean": rng.normal(size=channels),
            f"{name}.running_var": rng.uniform(0.5, 2.0, channels),
            f"{name}.num_batches_tracked": np.array(3),
        }

    return {
        "stem.conv.weight": rng.normal(size=(4, 2, 3, 3)),
        **norm("stem.norm", 4),
        "block.conv.weight": rng.normal(size=(4, 4, 3, 3)) / 4,
        **norm("block.norm", 4),
        "head.weight": rng.normal(size=(3, 4)),
        "head.bias": rng.normal(size=3),
    }


def windows(x):
    """[N, C, H, W] as [N, C, H, W, 3, 3] with a border of zeros."""
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    return np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))


def backward(gradient, kernel):
    """The adjoint of a convolution with a border of zeros: the correlation with the flipped kernel."""
    return np.einsum("nohwij,ocij->nchw", windows(gradient), kernel[:, :, ::-1, ::-1])


def reference(arrays, x, labels):
    """Logits and ∂ₓL, written down layer by layer."""
    a = arrays

    def scale(name):
        return a[f"{name}.weight"] / np.sqrt(a[f"{name}.running_var"] + 1e-5)

    def norm(name, value):
        factor = scale(name)[:, None, None]
        return factor * (value - a[f"{name}.running_mean"][:, None, None]) + a[f"{name}.bias"][:, None, None]

    one = norm("stem.norm", np.einsum("nchwij,ocij->nohw", windows(x), a["stem.conv.weight"]))
    first = np.maximum(one, 0)
    two = first + norm("block.norm", np.einsum("nchwij,ocij->nohw", windows(first), a["block.conv.weight"]))
    logits = np.maximum(two, 0).mean(axis=(2, 3)) @ a["head.weight"].T + a["head.bias"]
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    up = shares.copy()
    up[np.arange(len(x)), labels] -= 1
    of_two = (up @ a["head.weight"])[:, :, None, None] / 36 * (two > 0)
    of_first = of_two + backward(of_two * scale("block.norm")[:, None, None], a["block.conv.weight"])
    of_one = of_first * (one > 0)
    return logits, backward(of_one * scale("stem.norm")[:, None, None], a["stem.conv.weight"])


@pytest.mark.parametrize("prefix", ["", "module."])
def test_gradients_of_a_residual_network_are_those_of_its_formulas(prefix):
    rng = np.random.default_rng(5)
    arrays, x, labels = state(rng), rng.normal(size=(5, 2, 6, 6)), np.array([0, 1, 2, 0, 1])
    logits, expected = reference(arrays, x, labels)
    weights = {prefix + name: value for name, value in arrays.items()}
    found = gradlaw.gradient(NETWORK, weights, x, labels, norms=[3])
    assert found.gradient.shape == x.shape and found.label.tolist() == labels.tolist()
    np.testing.assert_allclose(found.logits, logits, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found.gradient, expected, rtol=1e-9, atol=1e-12)
    flat = expected.reshape(5, -1)
    np.testing.assert_allclose(found.norms["loss.l1"], np.abs(flat).sum(axis=1), rtol=1e-9)
    np.testing.assert_allclose(found.norms["loss.l3"], (np.abs(flat) ** 3).sum(axis=1) ** (1 / 3), rtol=1e-9)
    single = gradlaw.gradient(NETWORK, weights, x, labels, dtype="f32")
    assert single.gradient.dtype == np.float32
    np.testing.assert_allclose(single.gradient, expected, rtol=1e-3, atol=1e-5)


def test_one_sample_keeps_its_shape_and_labels_may_be_predicted():
    rng = np.random.default_rng(6)
    arrays, x = state(rng), rng.normal(size=(2, 6, 6))
    found = gradlaw.gradient(NETWORK, arrays, x)
    assert found.gradient.shape == x.shape and found.label[0] == found.logits[0].argmax()


def test_order_finds_arrays_under_any_names():
    rng = np.random.default_rng(7)
    arrays, x = state(rng), rng.normal(size=(3, 2, 6, 6))
    plain = gradlaw.gradient(NETWORK, arrays, x, 1)
    renamed = {f"net.{index}.{name.rsplit('.', 1)[1]}": value for index, (name, value) in numbered(arrays)}
    nameless = {**NETWORK, "layers": without_names(NETWORK["layers"])}
    found = gradlaw.gradient(nameless, renamed, x, 1, match="order")
    assert found.gradient.tolist() == plain.gradient.tolist()


def numbered(arrays):
    modules = []
    for name, value in arrays.items():
        module = name.rsplit(".", 1)[0]
        if module not in modules:
            modules.append(module)
        yield modules.index(module), (name, value)


def without_names(layers):
    kept = [{key: value for key, value in layer.items() if key != "weights"} for layer in layers]
    return [{**layer, "layers": without_names(layer["layers"])} if "layers" in layer else layer for layer in kept]


def test_an_attack_raises_the_loss_and_says_of_which_samples():
    rng = np.random.default_rng(8)
    arrays, x, labels = state(rng), rng.uniform(size=(6, 2, 6, 6)), np.arange(6) % 3
    found = gradlaw.attack(NETWORK, arrays, x, "fgsm", [0.01, 0.1], labels, box=(0, 1), dtype="f64")
    assert found.perturbed.shape == (2, *x.shape) and found.success.shape == (2, 6)
    assert np.abs(found.perturbed[1] - x).max() <= 0.1 + 1e-12 and 0 <= found.perturbed.min()
    assert found.by_size["epsilon"].tolist() == [0.01, 0.1] and (found.by_size["damage"] > 0).all()
    again = gradlaw.gradient(NETWORK, arrays, found.perturbed[1], labels)
    np.testing.assert_allclose(again.loss.mean() - found.loss, found.by_size["damage"][1], rtol=1e-9)
    assert (found.success[1] == (again.logits.argmax(axis=1) != labels)).all()
    one = gradlaw.attack(NETWORK, arrays, x, "pgd", 0.1, labels, restarts=3, target=2, dtype="f64")
    assert one.perturbed.shape == x.shape and one.by_sample.rows == 6


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"weights": {}}, "stem.conv.weight: is missing"),
        ({"label": 3}, "label 3"),
        ({"label": [0, 1]}, "2 labels"),
        ({"label": -1}, "label"),
        ({"x": np.zeros((2, 5, 5))}, "has shape"),
        ({"x": np.full((2, 6, 6), np.nan)}, "NaN"),
        ({"dtype": "f16"}, "f16"),
        ({"engine": "autograd"}, "engine"),
        ({"norms": [0.5]}, "0.5"),
        ({"match": "luck"}, "match"),
        ({"network": {"input": [2], "layers": [{"type": "dens", "units": 2}]}}, "dens"),
    ],
)
def test_bad_arguments_raise_one_clear_error(change, part):
    rng = np.random.default_rng(9)
    arguments = {"network": NETWORK, "weights": state(rng), "x": np.zeros((2, 6, 6)), "label": 0, **change}
    with pytest.raises(ValueError, match=part):
        gradlaw.gradient(**arguments)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"attack": "fsgm"}, "fgsm"),
        ({"epsilon": 0}, "1e-10"),
        ({"step_size": float("nan"), "attack": "pgd"}, "NaN"),
        ({"step_size": 0.1}, "no such steps"),
        ({"restarts": 0}, "restarts"),
        ({"target": 3}, "target 3"),
        ({"box": (1, 0)}, "box"),
    ],
)
def test_bad_attacks_raise_one_clear_error(change, part):
    rng = np.random.default_rng(10)
    arguments = {"network": NETWORK, "weights": state(rng), "x": np.zeros((2, 6, 6)), "attack": "fgsm", "epsilon": 0.1, **change}
    with pytest.raises(ValueError, match=part):
        gradlaw.attack(**arguments)


def test_names_are_those_of_the_module():
    assert set(gradlaw.names(NETWORK)) >= {"stem.conv.weight", "block.norm.running_var", "head.weight"}
