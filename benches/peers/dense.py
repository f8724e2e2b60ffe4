"""Peer: norms of the loss gradient of dense networks at He initialisation, in PyTorch and in JAX.

Fresh weights, input x ~ N(0, I) and label for every draw; l1, l2 and linf of the gradient with respect to x.
Case: {"inputs": d, "widths": [...], "outputs": 10, "between": "relu" | "tanh" | "layer-norm"}, the last with a ReLU behind it. Weights are
drawn as N(0, 1): with ReLUs all scales are folded into the logits and the gradient, which homogeneity allows. The others go by automatic
differentiation, whose own cost is small beside that of the weights.
"""

import math

import pair
from normals import source


def is_homogeneous(case):
    return case.get("between", "relu") == "relu"


def settings(case, framework):
    weights = count(case)
    batches = [b for b in (1, 2, 4, 8, 16, 32, 64, 128) if b == 1 or b * weights <= 1 << 24]
    if framework == "jax":
        allocator = pair.allocators()[0]
        base = {"framework": "jax", "rng": "threefry2x32", "malloc": allocator}
        best = max((b for b in batches if b * weights <= 1 << 17), default=1)
        return (
            [dict(base, batch=best)]
            + [dict(base, batch=b) for b in batches if b != best]
            + [dict(base, batch=best, malloc="system"), dict(base, batch=best, rng="rbg")]
        )
    allocator = pair.allocators()[0]
    hand = "hand" if is_homogeneous(case) else "autograd"
    base = {"framework": "torch", "rng": "torch", "backward": hand, "malloc": allocator}
    best = max((b for b in batches if b * weights <= 1 << 19), default=1)
    return (
        [dict(base, batch=best)]
        + [dict(base, batch=b) for b in batches if b != best]
        + [dict(base, batch=best, rng=rng) for rng in ("compiled", "erfinv")]
        + [dict(base, batch=best, malloc=name) for name in pair.allocators()[1:]]
        + [dict(base, batch=best, backward="autograd")]
    )


def sizes(case):
    return [case["inputs"], *case["widths"], case["outputs"]]


def count(case):
    widths = sizes(case)
    return sum(a * b for a, b in zip(widths, widths[1:]))


def scale(case):
    widths = sizes(case)
    hidden = math.prod(math.sqrt(2 / n) for n in widths[:-2])
    return hidden * math.sqrt(1 / widths[-2])


def scales(case):
    """The standard deviation of each layer's weights, where they are not folded: 1 / E tanh(z)^2 is 2.5362."""
    widths, factor = sizes(case), 2.536240 if case["between"] == "tanh" else 2
    return [math.sqrt(factor / n) for n in widths[:-2]] + [math.sqrt(1 / widths[-2])]


def batches(case, setting, seed):
    return {"torch": torch_batches, "jax": jax_batches}[setting["framework"]](case, setting, seed)


def torch_batches(case, setting, seed):
    import torch

    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    batch, widths = setting["batch"], sizes(case)
    shapes = list(zip(widths[1:], widths))
    normals = source(setting["rng"], batch * (count(case) + case["inputs"]), seed)
    homogeneous = is_homogeneous(case)
    each = [1] * len(shapes) if homogeneous else scales(case)
    factor, index, norms = scale(case) if homogeneous else 1, torch.arange(batch), torch.empty(3, batch)

    def between(h):
        if homogeneous:
            return h.relu()
        if case["between"] == "tanh":
            return h.tanh()
        return torch.nn.functional.layer_norm(h.squeeze(2), h.shape[1:2]).relu().unsqueeze(2)

    below = [torch.empty(batch, n, 1) for n in widths[1:]]
    above = [torch.empty(batch, 1, n) for n in widths[:-1]]

    def draw():
        values, at = normals(), 0
        x = values[: batch * widths[0]].view(batch, widths[0], 1)
        at, weights = batch * widths[0], []
        for rows, columns in shapes:
            size = batch * rows * columns
            weights.append(values[at : at + size].view(batch, rows, columns))
            at += size
        return x, weights, torch.randint(widths[-1], (batch,))

    def hand():
        x, weights, labels = draw()
        h, gates = x, []
        for layer, w in enumerate(weights):
            h = torch.bmm(w, h, out=below[layer])
            if layer + 1 < len(weights):
                gates.append(h.relu_())
        delta = torch.softmax(h.squeeze(2) * factor, 1)
        delta[index, labels] -= 1
        g = delta.unsqueeze(1)
        for layer in reversed(range(len(weights))):
            g = torch.bmm(g, weights[layer], out=above[layer])
            if layer:
                g.mul_(gates[layer - 1].transpose(1, 2) > 0)
        return g.squeeze(1)

    def autograd():
        x, weights, labels = draw()
        h = x.clone().requires_grad_(True)
        leaf = h
        for layer, w in enumerate(weights):
            h = torch.bmm(w, h) if homogeneous else torch.bmm(w, h) * each[layer]
            if layer + 1 < len(weights):
                h = between(h)
        loss = torch.nn.functional.cross_entropy(h.squeeze(2) * factor, labels, reduction="sum")
        return torch.autograd.grad(loss, leaf)[0].squeeze(2) / factor

    gradient = hand if setting["backward"] == "hand" else autograd

    def run():
        with torch.inference_mode(setting["backward"] == "hand"):
            g = gradient()
            for place, order in enumerate((1, 2, float("inf"))):
                torch.linalg.vector_norm(g, order, 1, out=norms[place])
            return batch, (norms.sum(1) * factor).tolist()

    return run


def jax_batches(case, setting, seed):
    import jax
    import jax.numpy as jnp

    homogeneous = is_homogeneous(case)
    batch, widths, factor = setting["batch"], sizes(case), scale(case) if homogeneous else 1
    each = [1] * (len(widths) - 1) if homogeneous else scales(case)

    def between(z):
        if homogeneous:
            return jax.nn.relu(z)
        if case["between"] == "tanh":
            return jnp.tanh(z)
        return jax.nn.relu((z - z.mean()) / jnp.sqrt(z.var() + 1e-5))

    def loss(x, weights, label):
        for w, size in zip(weights[:-1], each):
            x = between(w @ x if homogeneous else size * (w @ x))
        return -jax.nn.log_softmax(factor * each[-1] * (weights[-1] @ x))[label]

    def one(key):
        keys = jax.random.split(key, len(widths) + 1)
        weights = [jax.random.normal(k, (rows, columns)) for k, rows, columns in zip(keys[2:], widths[1:], widths)]
        label = jax.random.randint(keys[0], (), 0, widths[-1])
        g = jax.grad(loss)(jax.random.normal(keys[1], (widths[0],)), weights, label)
        return jnp.stack([jnp.abs(g).sum(), jnp.sqrt((g * g).sum()), jnp.abs(g).max()])

    @jax.jit
    def draws(key):
        key, next_key = jax.random.split(key)
        return next_key, jax.vmap(one)(jax.random.split(key, batch)).sum(0)

    state = [jax.random.key(seed, impl=setting["rng"])]

    def run():
        state[0], norms = draws(state[0])
        return batch, norms.tolist()

    return run


if __name__ == "__main__":
    pair.main(__file__, settings, batches)
