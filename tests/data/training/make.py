"""Makes the recorded cases of tests/training.rs with PyTorch, beside this file:

    python tests/data/training/make.py

Each network is NAME.safetensors, a batch NAME.x.npy, NAME.json with the labels and the objectives' values, and
NAME.gradients.npy with their parameter gradients: a row for each objective, all tensors one after the other in the order
of the network's state, zeros for running statistics. All is computed in double precision, with the statistics of the batch,
by automatic differentiation of the objectives as they are defined.
"""

import copy
import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn.functional import cross_entropy

HERE = Path(__file__).parent
SAMPLES = 8
NORMALISATIONS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)


class Residual(nn.Module):
    """layers(x) + projection(x)."""

    def __init__(self, layers, projection=()):
        super().__init__()
        self.layers = nn.Sequential(*layers)
        self.projection = nn.Sequential(*projection)

    def forward(self, x):
        return self.layers(x) + self.projection(x)


def conv(below, above, size=3, **more):
    return nn.Conv2d(below, above, size, **{"bias": False, "padding": size // 2, **more})


def pooled():
    """The order of the paper's networks, with every pool that slides."""
    return nn.Sequential(
        nn.BatchNorm2d(2),
        conv(2, 4, bias=True, padding_mode="reflect"),
        nn.AvgPool2d(2),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        Residual([conv(4, 4, bias=True, padding_mode="reflect"), nn.BatchNorm2d(4), nn.ReLU()]),
        nn.MaxPool2d(2, 1),
        nn.Conv2d(4, 4, 2, stride=1, groups=4, bias=False),
        nn.Flatten(),
        nn.Linear(16, 3),
    )


def strided():
    """Strides, dilation, the other paddings, a projection, a normalisation of vectors, a global mean."""
    return nn.Sequential(
        conv(2, 4, stride=2),
        nn.ReLU(),
        Residual(
            [conv(4, 5, padding_mode="circular"), nn.BatchNorm2d(5), nn.ReLU(), conv(5, 5, dilation=2, padding=2)],
            [conv(4, 5, size=1, bias=True)],
        ),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(5, 6, bias=False),
        nn.BatchNorm1d(6),
        nn.ReLU(),
        nn.Linear(6, 4, bias=False),
    )


def peaked():
    """A global maximum."""
    return nn.Sequential(
        conv(2, 5, padding_mode="reflect"),
        nn.BatchNorm2d(5),
        nn.ReLU(),
        conv(5, 5, size=2, padding=0, stride=2, bias=True),
        nn.AdaptiveMaxPool2d(1),
        nn.Flatten(),
        nn.Linear(5, 3),
    )


class Erf(nn.Module):
    def forward(self, x):
        return torch.erf(x)


def smooth():
    """Activations that bend everywhere, whose second derivatives the penalties need, and normalisations within a sample."""
    return nn.Sequential(
        conv(2, 4, bias=True),
        nn.GroupNorm(2, 4),
        nn.GELU(),
        nn.AvgPool2d(2),
        Residual([conv(4, 4, padding_mode="reflect"), nn.Tanh(), conv(4, 4, size=1), nn.SiLU()]),
        nn.Flatten(),
        nn.LayerNorm(64),
        nn.Linear(64, 7),
        nn.Softplus(),
        nn.Linear(7, 4),
    )


def bent():
    """The other activations, one with a kink behind batch statistics among them."""
    return nn.Sequential(
        conv(2, 4, stride=2),
        nn.BatchNorm2d(4),
        nn.LeakyReLU(0.2),
        conv(4, 5, bias=True),
        nn.Sigmoid(),
        nn.Flatten(),
        nn.RMSNorm(80, eps=1e-5),
        nn.Linear(80, 6),
        nn.ELU(),
        nn.Linear(6, 6),
        Erf(),
        nn.Linear(6, 3),
    )


def losses(network, x, labels):
    return cross_entropy(network(x), labels, reduction="none")


def norms(gradient, order):
    return torch.linalg.vector_norm(gradient.flatten(1), order, dim=1)


def plain(network, x, labels):
    return losses(network, x, labels).mean()


def penalty(q, strength):
    """mean (L + (eps d^(1/p) / 2) |dL/dx|_q) with 1/p + 1/q = 1."""

    def objective(network, x, labels):
        x = x.clone().requires_grad_()
        loss = losses(network, x, labels)
        (gradient,) = torch.autograd.grad(loss.sum(), x, create_graph=True)
        size = strength * x[0].numel() ** (1 - 1 / q)
        return (loss + size / 2 * norms(gradient, q)).mean()

    return objective


def augmentation(p, strength):
    """mean (L(x) + L(x + delta)) / 2, delta of size eps d^(1/p) along the steepest direction, held fixed."""

    def objective(network, x, labels):
        x = x.clone().requires_grad_()
        loss = losses(network, x, labels)
        (gradient,) = torch.autograd.grad(loss.sum(), x, retain_graph=True)
        if p == np.inf:
            delta = strength * gradient.sign()
        else:
            length = strength * x[0].numel() ** (1 / p)
            delta = length * gradient / norms(gradient, 2).view(-1, 1, 1, 1)
        return (loss + losses(network, x + delta, labels)).mean() / 2

    return objective


def projected(steps, strength):
    """mean L(x + delta), delta by steps of eps / (0.75 steps) along the signs, from the start that the test's generator gives."""

    def objective(network, x, labels):
        batch, channels, height, width = x.shape
        places = torch.arange(x.numel()).view(batch, height, width, channels).permute(0, 3, 1, 2)
        attacked = x + strength * ((places * 37 % 64) / 32 - 1).to(x)
        for _ in range(steps):
            attacked.requires_grad_()
            (gradient,) = torch.autograd.grad(losses(network, attacked, labels).sum(), attacked)
            attacked = attacked.detach() + strength / (0.75 * steps) * gradient.sign()
            attacked = torch.minimum(torch.maximum(attacked, x - strength), x + strength)
        return losses(network, attacked, labels).mean()

    return objective


def cross_lipschitz(strength):
    """mean L + c 2 / (n K^2) sum over samples and pairs l < m of |df_l/dx - df_m/dx|_2^2."""

    def objective(network, x, labels):
        x = x.clone().requires_grad_()
        logits = network(x)
        samples, count = logits.shape
        gradients = [torch.autograd.grad(logits[:, k].sum(), x, create_graph=True)[0] for k in range(count)]
        pairs = sum((gradients[l] - gradients[m]).square().sum() for m in range(count) for l in range(m))
        return cross_entropy(logits, labels) + strength * 2 / (samples * count**2) * pairs

    return objective


# In the order of the rows; the test has the same list.
OBJECTIVES = {
    "plain": plain,
    "gradient l1": penalty(1, 0.05),
    "gradient l2": penalty(2, 0.05),
    "gradient l1.5": penalty(1.5, 0.05),
    "augmentation linf": augmentation(np.inf, 0.02),
    "augmentation l2": augmentation(2, 0.02),
    "pgd": projected(3, 0.02),
    "cross-lipschitz": cross_lipschitz(0.3),
}


def evaluate(network, objective, x, labels):
    """The objective and its gradient, laid out as the network's state."""
    network.zero_grad()
    value = objective(network, x, labels)
    gradients = dict(zip(dict(network.named_parameters()), torch.autograd.grad(value, list(network.parameters()))))
    state = {name: tensor for name, tensor in network.state_dict().items() if not name.endswith("num_batches_tracked")}
    flat = [gradients.get(name, torch.zeros_like(tensor)).flatten() for name, tensor in state.items()]
    return value.item(), torch.cat(flat).double()


def make(name, network, seed):
    torch.manual_seed(seed)
    network.double().train()
    for module in network.modules():
        for key, parameter in module.named_parameters(recurse=False):
            normalises = isinstance(module, NORMALISATIONS)
            if normalises and key == "weight":
                parameter.data.uniform_(0.5, 1.5)
            else:
                parameter.data.normal_(0, (2 / max(parameter[0].numel(), 4)) ** 0.5)
    x = torch.rand(SAMPLES, 2, 8, 8, dtype=torch.float64)
    classes = network(x).shape[1]
    labels = torch.randint(classes, (SAMPLES,))
    save_file({key: value.contiguous() for key, value in network.state_dict().items()}, HERE / f"{name}.safetensors")
    np.save(HERE / f"{name}.x.npy", x.numpy())

    single = copy.deepcopy(network).float()
    values, gradients = {}, []
    for kind, objective in OBJECTIVES.items():
        values[kind], gradient = evaluate(network, objective, x, labels)
        _, rounded = evaluate(single, objective, x.float(), labels)
        far = ((rounded - gradient).norm() / gradient.norm()).item()
        print(f"{name}, {kind}: {values[kind]:.6f}, |gradient| {gradient.norm():.4f}, single precision {far:.1e} away")
        assert far < 2e-5, "a kink is near: take another seed"
        gradients.append(gradient.numpy())
    np.save(HERE / f"{name}.gradients.npy", np.stack(gradients))
    recorded = {"labels": labels.tolist(), "values": values}
    (HERE / f"{name}.json").write_text(json.dumps(recorded) + "\n")


if __name__ == "__main__":
    make("pooled", pooled(), seed=1)
    make("strided", strided(), seed=1)
    make("peaked", peaked(), seed=1)
    make("smooth", smooth(), seed=1)
    make("bent", bent(), seed=1)
