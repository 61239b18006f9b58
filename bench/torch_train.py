"""The PyTorch side of bench/train.R: stage 1 of Quantile IV, 20-128-64-5 with batch norm.

    python3 bench/torch_train.py data.bin threads batch activation epochs

data.bin holds 80,000 rows of 20 inputs, then 80,000 outcomes, as floats of four bytes. Prints one
line "epoch seconds loss" for each epoch; the loss is the mean over the rows of the epoch, each
judged before its batch's step, as mrl_train_run() has it. Initial weights follow the same law as
ours (He normal before GELU, Glorot normal elsewhere, biases 0), other numbers are drawn.
"""
import math
import sys
import time

try:
    import numpy
    import torch
except ImportError:
    sys.exit("torch is missing: install python3-torch, or name a python that has it in $PYTHON")

N, INPUTS, HIDDEN, QUANTILES = 80000, 20, (128, 64), 5
ACTIVATIONS = {"gelu": torch.nn.GELU, "softplus": torch.nn.Softplus}


def read_data(path):
    numbers = torch.from_numpy(numpy.fromfile(path, dtype=numpy.float32))
    if numbers.numel() != N * (INPUTS + 1):
        sys.exit("the data are not 80,000 rows of 20 inputs and an outcome")
    return numbers[: N * INPUTS].reshape(N, INPUTS), numbers[N * INPUTS:].reshape(N, 1)


def dense(inputs, outputs, bias, variance):
    layer = torch.nn.Linear(inputs, outputs, bias=bias)
    torch.nn.init.normal_(layer.weight, std=math.sqrt(variance))
    if bias:
        torch.nn.init.zeros_(layer.bias)
    return layer


def build(activation):
    """A dense layer has no bias where a batch norm follows, which would cancel it."""
    layers, width = [], INPUTS
    for units in HIDDEN:
        variance = 2 / width if activation == "gelu" else 2 / (width + units)
        layers += [
            dense(width, units, False, variance),
            torch.nn.BatchNorm1d(units),
            ACTIVATIONS[activation](),
        ]
        width = units
    return torch.nn.Sequential(
        *layers, dense(width, QUANTILES, True, 2 / (width + QUANTILES)))


def train_epoch(model, optimizer, batches, levels, data, shuffled):
    """The rows are put into their order once, so that batches are views."""
    order = torch.randperm(N)
    for whole, mixed in zip(data, shuffled):
        torch.index_select(whole, 0, order, out=mixed)
    total = torch.zeros(())
    below = levels - 1
    for x, y in batches:
        optimizer.zero_grad(set_to_none=True)
        residual = y - model(x)
        loss = torch.maximum(levels * residual, below * residual).sum() / len(x)
        loss.backward()
        optimizer.step()
        total += loss.detach() * len(x)
    return total.item() / N


def main(path, threads, batch, activation, epochs):
    torch.set_num_threads(int(threads))
    torch.manual_seed(1)
    data = read_data(path)
    model = build(activation)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, foreach=True)
    levels = (torch.arange(QUANTILES) + 0.5) / QUANTILES
    shuffled = [torch.empty_like(part) for part in data]
    batches = list(zip(*(part.split(int(batch)) for part in shuffled)))
    model.train()
    for epoch in range(int(epochs)):
        start = time.perf_counter()
        loss = train_epoch(model, optimizer, batches, levels, data, shuffled)
        print(epoch, time.perf_counter() - start, loss, flush=True)


if __name__ == "__main__":
    if sys.argv[1:] == ["--versions"]:
        print(torch.__version__, sys.version.split()[0])
    elif len(sys.argv) == 6:
        main(*sys.argv[1:])
    else:
        sys.exit(__doc__)
