"""Peer: norms of the loss gradient of convolutional networks at He initialisation, in PyTorch.

3 x s x s, four 3x3 convolutions of 64 channels or as many as the case says (padding 1, strides 1, 2, 1, 2), ReLU after each, global
average pool, linear to 10. Fresh weights, input x ~ N(0, I) and label for every draw; l1, l2 and linf of the gradient with respect to x.
Case: {"side": s, "channels": 64}. Several draws run as one grouped convolution, channels last; the backward pass is written by hand, and takes
gradients with respect to activations only. Weights are drawn as N(0, 1): all scales are folded into the logits and the
gradient, which homogeneity allows.
"""

import math

import pair
from normals import source

STRIDES = (1, 2, 1, 2)


def settings(case, framework):
    if framework != "torch":
        return []
    group = 16 if case["side"] < 32 else 8 if case["side"] < 64 else 2
    group = max(1, group * 64 // case.get("channels", 64))
    allocator = pair.allocators()[0]
    # `split`: the first layer's backward pass one draw at a time, which oneDNN does faster where images are large.
    base = {"rng": "compiled", "fused": False, "split": case["side"] >= 32, "malloc": allocator}
    return (
        [dict(base, group=group)]
        + [dict(base, group=g) for g in (1, 2, 4, 8, 16) if g != group]
        + [dict(base, group=group, rng=rng) for rng in ("torch", "erfinv")]
        + [dict(base, group=group, malloc=name) for name in pair.allocators()[1:]]
        + [dict(base, group=group, fused=True), dict(base, group=group, split=not base["split"])]
    )


def batches(case, setting, seed):
    import torch
    import torch.nn.functional as functional

    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    aten, side, group, channels = torch.ops.aten, case["side"], setting["group"], case.get("channels", 64)
    inputs = (3, channels, channels, channels)
    sizes = [channels * 9 * n for n in inputs]
    normals = source(setting["rng"], group * (sum(sizes) + 10 * channels + 3 * side * side), seed)
    torch.manual_seed(seed)
    pooled = (side // 4) ** 2
    factor = math.sqrt(2 / 27) * math.sqrt(2 / (9 * channels)) ** 3 * math.sqrt(1 / channels) / pooled
    batch = max(1, 32 // group) * group
    gradients, norms, index = torch.empty(batch, side, side, 3), torch.empty(3, batch), torch.arange(group)

    def forward(x, w, stride):
        if setting["fused"]:
            steps = ([1, 1], [stride, stride], [1, 1])
            return torch.ops.mkldnn._convolution_pointwise(x, w, None, *steps, group, "relu", [], "")
        return functional.conv2d(x, w, None, stride, 1, 1, group).relu_()

    def backward(g, x, w, stride, groups):
        steps = ([stride, stride], [1, 1], [1, 1])
        return aten.convolution_backward(g, x, w, None, *steps, False, [0, 0], groups, [True, False, False])[0]

    def draw(first, labels):
        values, at, weights = normals(), 0, []
        for size, n in zip(sizes, inputs):
            weights.append(values[at : at + size * group].view(group * channels, 3, 3, n).permute(0, 3, 1, 2))
            at += size * group
        last = values[at : at + 10 * channels * group].view(group, 10, channels)
        at += 10 * channels * group
        x = values[at : at + 3 * side * side * group].view(1, side, side, 3 * group).permute(0, 3, 1, 2)
        activations = [x]
        for w, stride in zip(weights, STRIDES):
            activations.append(forward(activations[-1], w, stride))
        sums = activations[4].sum((2, 3)).view(group, channels)
        delta = torch.softmax(torch.bmm(last, sums.unsqueeze(2)).squeeze(2) * factor, 1)
        delta[index, labels] -= 1
        g = activations[4].sign_().mul_(torch.bmm(delta.unsqueeze(1), last).view(1, group * channels, 1, 1))
        for layer in (3, 2, 1):
            g = backward(g, activations[layer], weights[layer], STRIDES[layer], group)
            aten.threshold_backward.grad_input(g, activations[layer], 0, grad_input=g)
        if setting["split"] and group > 1:
            for one in range(group):
                above = g[:, channels * one : channels * (one + 1)].contiguous(memory_format=torch.channels_last)
                below = x[:, 3 * one : 3 * one + 3].contiguous(memory_format=torch.channels_last)
                own = backward(above, below, weights[0][channels * one : channels * (one + 1)], 1, 1)
                gradients[first + one].copy_(own[0].permute(1, 2, 0))
        else:
            g = backward(g, x, weights[0], 1, group)
            gradients[first : first + group].copy_(g.view(group, 3, side, side).permute(0, 2, 3, 1))

    def run():
        with torch.inference_mode():
            labels = torch.randint(10, (batch,))
            for first in range(0, batch, group):
                draw(first, labels[first : first + group])
            flat = gradients.view(batch, -1)
            for place, order in enumerate((1, 2, float("inf"))):
                torch.linalg.vector_norm(flat, order, 1, out=norms[place])
            return batch, (norms.sum(1) * factor).tolist()

    return run


if __name__ == "__main__":
    pair.main(__file__, settings, batches)
