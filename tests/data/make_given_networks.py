"""Makes the recorded cases of tests/gradient.rs with PyTorch, beside this file:

    python tests/data/make_given_networks.py

Each case is NAME.toml, NAME.safetensors or NAME.npz, NAME.x.npy, and NAME.json with what PyTorch computes in double
precision from the same weights: labels, logits, losses, norms, and the gradients of the losses.
"""

import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

HERE = Path(__file__).parent


class Residual(nn.Module):
    """layers(x) + projection(x), as the layer type `residual` adds them."""

    def __init__(self, layers, projection):
        super().__init__()
        self.layers = nn.Sequential(*layers)
        self.projection = nn.Sequential(*projection)

    def forward(self, x):
        return self.layers(x) + self.projection(x)


DENSE = (
    """input = [6]
layers = [
  { type = "dense", units = 5 },
  { type = "batch-norm" },
  { type = "relu" },
  { type = "dense", units = 4, bias = true },
  { type = "relu" },
  { type = "dense", units = 3 },
]
""",
    [nn.Linear(6, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3, bias=False)],
    (3, 6),
)

# Every padding, dilation, stride, both pools, biases and normalisation.
CONV = (
    """input = [2, 8, 7]
layers = [
  { type = "conv", channels = 3, kernel = 3, padding = 2, dilation = 2, padding_mode = "reflect", bias = true },
  { type = "batch-norm" },
  { type = "relu" },
  { type = "conv", channels = 4, kernel = 3, stride = 2, padding = 1, padding_mode = "circular" },
  { type = "relu" },
  { type = "max-pool", size = 2, stride = 1 },
  { type = "conv", channels = 3, kernel = 2, padding = 1 },
  { type = "avg-pool", size = 2 },
  { type = "flatten" },
  { type = "dense", units = 4, bias = true },
]
""",
    [
        nn.Conv2d(2, 3, 3, padding=2, dilation=2, padding_mode="reflect"),
        nn.BatchNorm2d(3),
        nn.ReLU(),
        nn.Conv2d(3, 4, 3, stride=2, padding=1, padding_mode="circular", bias=False),
        nn.ReLU(),
        nn.MaxPool2d(2, 1),
        nn.Conv2d(4, 3, 2, padding=1, bias=False),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(12, 4),
    ],
    (2, 2, 8, 7),
)

# A pasted [[network]] table, names inside a block, a normalisation without scale and shift, one sample alone.
RESIDUAL = (
    """[[network]]
label = "residual"
init = "he-normal"
input = [2, 4, 4]
layers = [
  { type = "conv", channels = 2, kernel = 3, padding = 1 },
  { type = "residual", layers = [
    { type = "conv", channels = 3, kernel = 3, padding = 1, stride = 2 },
    { type = "batch-norm" },
    { type = "relu" },
  ], projection = [{ type = "conv", channels = 3, kernel = 1, stride = 2 }] },
  { type = "relu" },
  { type = "flatten" },
  { type = "dense", units = 3 },
]
""",
    [
        nn.Conv2d(2, 2, 3, padding=1),
        Residual(
            [nn.Conv2d(2, 3, 3, padding=1, stride=2, bias=False), nn.BatchNorm2d(3, affine=False), nn.ReLU()],
            [nn.Conv2d(2, 3, 1, stride=2, bias=False)],
        ),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(12, 3, bias=False),
    ],
    (2, 4, 4),
)


def draw(network):
    for module in network.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            module.running_mean.normal_(0, 0.5)
            module.running_var.uniform_(0.3, 2)
            module.num_batches_tracked.fill_(7)
        for parameter in module.parameters(recurse=False):
            parameter.data.normal_(0, (2 / max(parameter[0].numel(), 2)) ** 0.5)


def make(name, case, weights, dtype, seed):
    text, layers, shape = case
    torch.manual_seed(seed)
    network = nn.Sequential(*layers).eval()
    draw(network)
    state = {key: value.contiguous() for key, value in network.state_dict().items()}
    if weights == "npz":
        # In Fortran order, which holds the transposed bytes of the same arrays.
        np.savez_compressed(HERE / f"{name}.npz", **{key: np.asfortranarray(value) for key, value in state.items()})
    else:
        save_file(state, HERE / f"{name}.safetensors")
    x = torch.randn(shape).numpy().astype(dtype)
    np.save(HERE / f"{name}.x.npy", x)
    (HERE / f"{name}.toml").write_text(text)

    alone = len(shape) == len(network[0].weight.shape) - 1
    x = torch.tensor(x[None] if alone else x, dtype=torch.float64, requires_grad=True)
    logits = network.double()(x)
    labels = [index % logits.shape[1] for index in range(1, len(x) + 1)]
    losses = nn.functional.cross_entropy(logits, torch.tensor(labels), reduction="none")
    (loss,) = torch.autograd.grad(losses.sum(), x, retain_graph=True)
    (logit,) = torch.autograd.grad(logits[:, 0].sum(), x)
    recorded = {"labels": labels, "logits": logits.tolist(), "loss": losses.tolist(), "norms": {}}
    for kind, gradient in [("loss", loss), ("logit", logit)]:
        for order, suffix in [(1, "l1"), (2, "l2"), (torch.inf, "linf"), (1.5, "l1.5")]:
            norms = torch.linalg.vector_norm(gradient.flatten(1), order, dim=1)
            assert norms.min() > 0.1, "a dead layer: take another seed"
            recorded["norms"][f"{kind}.{suffix}"] = norms.tolist()
    recorded["gradient"] = loss.flatten().tolist()
    recorded["shape"] = list(shape)
    (HERE / f"{name}.json").write_text(json.dumps(recorded) + "\n")


if __name__ == "__main__":
    make("given-dense", DENSE, "safetensors", np.float64, seed=3)
    make("given-conv", CONV, "npz", np.float32, seed=1)
    make("given-residual", RESIDUAL, "safetensors", np.float64, seed=1)
