"""Peer: training steps of the paper's CIFAR network, in PyTorch, by automatic differentiation.

The network of benches/training: batch norm of the input; six 3x3 convolutions of 64 channels with reflected edges, the last
five followed by 2x2 average pooling; batch norm and ReLU after each; linear to 10. A batch of 128, all cores, SGD with
momentum. Case: {"objective": name, "rearranged": whether average pools may be moved}. Printed are steps per second of processor time of all cores, the seconds of the fastest step
by the clock, and as mean the first step's objective.
"""

import json
import os
import subprocess
import time

import pair

BATCH, CHANNELS, STRENGTH = 128, 64, 0.01


def settings(case, framework):
    if framework != "torch":
        return []
    allocators = pair.allocators()
    twice = case["objective"] in ("gradient l1", "gradient l2", "cross-lipschitz")
    # Normalisation's second derivative is slow with channels last. Average pooling, a mean of four pixels, can stand behind its
    # convolution, be taken of the kernels, as one 4x4 convolution of stride 2, or of the input before a 3x3 one of stride 2.
    layouts = ("first", "last") if twice else ("last", "first")
    pools = ("kernel", "input", "output") if case["rearranged"] else ("output",)
    base = {"layout": layouts[0], "pool": pools[0], "malloc": allocators[0]}
    choices = [dict(base, layout=layout, pool=pool) for layout in layouts for pool in pools]
    choices += [dict(base, malloc=name) for name in allocators[1:]]
    if not twice:
        # Compiled functions cannot be differentiated twice.
        choices += [dict(base, compiled=True, pool=pool) for pool in pools]
    if case["objective"] == "cross-lipschitz":
        choices += [dict(base, batched=True, pool=pool) for pool in pools]
    return choices


def batches(case, setting, seed):
    import torch
    import torch.nn.functional as functional
    from torch.nn.functional import cross_entropy

    torch.set_num_threads(cores())
    torch.set_flush_denormal(True)
    torch.manual_seed(seed)
    layout = torch.channels_last if setting["layout"] == "last" else torch.contiguous_format
    parameters = [torch.ones(3), torch.zeros(3)]
    for index in range(6):
        below = CHANNELS if index else 3
        kernel = torch.randn(CHANNELS, below, 3, 3) * (2 / (9 * below)) ** 0.5
        parameters += [kernel.contiguous(memory_format=layout), torch.ones(CHANNELS), torch.zeros(CHANNELS)]
    parameters += [torch.randn(10, CHANNELS) / CHANNELS**0.5, torch.zeros(10)]
    parameters = [parameter.requires_grad_() for parameter in parameters]
    optimiser = torch.optim.SGD(parameters, lr=1e-4, momentum=0.9, fused=True)
    x = torch.rand(BATCH, 3, 32, 32).contiguous(memory_format=layout)
    labels = torch.randint(10, (BATCH,))

    def network(x, parameters):
        x = functional.batch_norm(x, None, None, *parameters[:2], training=True)
        for index in range(6):
            kernel, scale, shift = parameters[2 + 3 * index : 5 + 3 * index]
            x = functional.pad(x, (1, 1, 1, 1), mode="reflect")
            if index and setting["pool"] == "kernel":
                kernel = functional.avg_pool2d(functional.pad(kernel, (1, 1, 1, 1)), 2, 1)
                x = functional.conv2d(x, kernel, stride=2)
            elif index and setting["pool"] == "input":
                x = functional.conv2d(functional.avg_pool2d(x, 2, 1), kernel, stride=2)
            else:
                x = functional.conv2d(x, kernel)
                x = functional.avg_pool2d(x, 2) if index else x
            x = functional.relu(functional.batch_norm(x, None, None, scale, shift, training=True), inplace=True)
        return functional.linear(x.flatten(1), *parameters[-2:])

    if setting.get("compiled"):
        network = torch.compile(network)

    def penalty(order):
        input = x.detach().requires_grad_()
        loss = cross_entropy(network(input, parameters), labels, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, input, create_graph=True)
        size = STRENGTH * input[0].numel() ** (1 - 1 / order)
        norms = torch.linalg.vector_norm(gradient.flatten(1), order, dim=1)
        return (loss + size / 2 * norms.sum()) / BATCH

    def plain():
        return cross_entropy(network(x, parameters), labels)

    def fgsm():
        # One backward pass for the parameters' gradient and the input's.
        input = x.detach().requires_grad_()
        before = cross_entropy(network(input, parameters), labels) / 2
        before.backward()
        attacked = x + STRENGTH * input.grad.sign()
        after = cross_entropy(network(attacked, parameters), labels) / 2
        return after + before.detach()

    def projected(steps=7):
        fixed = [parameter.detach() for parameter in parameters]
        attacked = x + STRENGTH * (2 * torch.rand_like(x) - 1)
        low, high = x - STRENGTH, x + STRENGTH
        for _ in range(steps):
            attacked.requires_grad_()
            (gradient,) = torch.autograd.grad(cross_entropy(network(attacked, fixed), labels), attacked)
            step = gradient.sign_().mul_(STRENGTH / (0.75 * steps)).add_(attacked.detach())
            attacked = step.clamp_(low, high)
        return cross_entropy(network(attacked, parameters), labels)

    def cross_lipschitz():
        input = x.detach().requires_grad_()
        logits = network(input, parameters)
        if setting.get("batched"):
            ways = torch.eye(10)[:, None, :].expand(10, BATCH, 10)
            (gradients,) = torch.autograd.grad(logits, input, ways, create_graph=True, is_grads_batched=True)
        else:
            sums = logits.sum(0)
            gradients = torch.stack([torch.autograd.grad(f, input, create_graph=True)[0] for f in sums])
        # The sum over pairs of |g_l - g_m|^2 is 10 sum |g_l|^2 - |sum g_l|^2.
        pairs = 10 * gradients.square().sum() - gradients.sum(0).square().sum()
        return cross_entropy(logits, labels) + STRENGTH * 2 / (BATCH * 100) * pairs

    objective = {
        "plain": plain,
        "gradient l1": lambda: penalty(1),
        "gradient l2": lambda: penalty(2),
        "fgsm": fgsm,
        "pgd-7": projected,
        "cross-lipschitz": cross_lipschitz,
    }[case["objective"]]

    def step():
        optimiser.zero_grad()
        value = objective()
        value.backward()
        optimiser.step()
        return value.item()

    return step


def cores():
    return len(os.sched_getaffinity(0))


def work(batches, case, setting, seed, seconds):
    """Steps for so many seconds, after two to warm up."""
    step = batches(case, setting, seed)
    objective, _ = step(), step()
    fastest, steps, start, cpu = float("inf"), 0, time.perf_counter(), time.process_time()
    while not steps or time.perf_counter() < start + seconds:
        before = time.perf_counter()
        step()
        fastest, steps = min(fastest, time.perf_counter() - before), steps + 1
    rate = steps * cores() / (time.process_time() - cpu)
    print(json.dumps({"rate": rate, "fastest": fastest, "means": [objective]}), flush=True)


def measure(script, case, setting, seconds, seed):
    """One process with all cores."""
    # Threads that wait sleep, so that they take no processor time.
    command, variables = pair.worker(script, case, setting, seconds), pair.environment(setting, cores())
    variables["OMP_WAIT_POLICY"] = "passive"
    done = subprocess.run(command + ["--seed", str(seed)], env=variables, text=True, capture_output=True)
    if done.returncode or not done.stdout.strip():
        return {"rate": 0.0, "error": done.stderr.strip().splitlines()[-1:]}
    return json.loads(done.stdout.strip().splitlines()[-1])


if __name__ == "__main__":
    pair.main(__file__, settings, batches, work, measure)
