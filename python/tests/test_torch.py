"""Gradients of a residual network of PyTorch, taken from its state as it is, against automatic differentiation. Where PyTorch is installed."""

import numpy as np
import pytest

import gradlaw

torch = pytest.importorskip("torch")
nn = torch.nn


class Block(nn.Module):
    """As torchvision's, with a projection where the shape changes."""

    def __init__(self, below, above, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(below, above, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(above)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(above, above, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(above)
        self.downsample = None
        if stride != 1 or below != above:
            self.downsample = nn.Sequential(nn.Conv2d(below, above, 1, stride, bias=False), nn.BatchNorm2d(above))

    def forward(self, x):
        other = x if self.downsample is None else self.downsample(x)
        return self.relu(self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x))))) + other)


class ResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.relu = nn.ReLU()
        self.layer1 = nn.Sequential(Block(8, 8, 1), Block(8, 8, 1))
        self.layer2 = nn.Sequential(Block(8, 16, 2), Block(16, 16, 1))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(16, 10)

    def forward(self, x):
        x = self.relu(self.bn1(self.conv1(x)))
        return self.fc(self.pool(self.layer2(self.layer1(x))).flatten(1))


def conv(channels, kernel=3, stride=1):
    return {"type": "conv", "channels": channels, "kernel": kernel, "stride": stride, "padding": kernel // 2}


def block(channels, stride=1, projects=False):
    norm = {"type": "batch-norm"}
    residual = {
        "type": "residual",
        "layers": [conv(channels, stride=stride), norm, {"type": "relu"}, conv(channels), norm],
    }
    if projects:
        residual["projection"] = [conv(channels, kernel=1, stride=stride), norm]
    return [residual, {"type": "relu"}]


NETWORK = {
    "input": [3, 16, 16],
    "layers": [
        conv(8),
        {"type": "batch-norm"},
        {"type": "relu"},
        *block(8),
        *block(8),
        *block(16, stride=2, projects=True),
        *block(16),
        {"type": "global-avg-pool"},
        {"type": "dense", "units": 10},
    ],
}


@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_resnet_has_the_gradients_of_autograd(prefix):
    torch.manual_seed(1)
    model = ResNet().double()
    with torch.no_grad():
        # Running statistics that differ from their beginnings.
        model.train()
        model(torch.randn(64, 3, 16, 16, dtype=torch.float64))
    model.eval()
    x = torch.randn(6, 3, 16, 16, dtype=torch.float64, requires_grad=True)
    labels = torch.arange(6)
    logits = model(x)
    nn.functional.cross_entropy(logits, labels, reduction="sum").backward()
    state = {prefix + name: value for name, value in model.state_dict().items()}
    found = gradlaw.gradient(NETWORK, state, x.detach(), labels, match="order")
    np.testing.assert_allclose(found.logits, logits.detach().numpy(), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.gradient, x.grad.numpy(), rtol=1e-9, atol=1e-12)
