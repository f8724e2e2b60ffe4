"""Normals for the PyTorch peers: torch's own, or integers of SFC64 made normal by a compiled Box-Muller transformation."""

import math


def source(kind, count, seed):
    """A function that fills and returns a vector of at least `count` standard normals."""
    import numpy as np
    import torch

    torch.manual_seed(seed)
    if kind == "torch":
        values = torch.empty(count)
        return lambda: values.normal_()
    bits = np.random.SFC64(seed)
    if kind == "erfinv":
        values = torch.empty(count + count % 2)

        def fill():
            integers = torch.from_numpy(bits.random_raw(values.numel() // 2).view(np.int32))
            uniform = values.copy_(integers).mul_(2.0**-31).clamp_(-1 + 2.0**-24, 1 - 2.0**-24)
            return uniform.erfinv_().mul_(math.sqrt(2))

        return fill
    torch._inductor.config.cpp.threads = 1
    pieces = max(1, round(count / 120_000))  # that stay in the second-level cache
    half = -(-count // (2 * pieces))
    half += half % 2
    values = torch.empty(2 * half * pieces)
    parts = [part.view(2, half) for part in values.split(2 * half)]

    def transform(integers, out):
        numbers = integers.to(torch.float32)
        radius = torch.sqrt(torch.log(torch.clamp(numbers[0] * 2**-32 + 0.5, min=2**-27)) * -2)
        angle = numbers[1] * (2 * math.pi * 2**-32)
        out[0].copy_(radius * torch.cos(angle))
        out[1].copy_(radius * torch.sin(angle))

    compiled = torch.compile(transform, dynamic=False)

    def fill():
        for part in parts:
            compiled(torch.from_numpy(bits.random_raw(half).view(np.int32)).view(2, half), part)
        return values

    return fill
