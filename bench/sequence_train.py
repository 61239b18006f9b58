"""The PyTorch side of bench/sequence_train.R: the simulation CNN of Deep MR on sequences.

    python3 bench/sequence_train.py time data.bin threads batch epochs
    python3 bench/sequence_train.py fit data.bin out.bin threads batch seed recipe

data.bin: numbers of rows to train on, held out and predicted (three 32-bit numbers), the letters of
all (bytes, 100 each), then the two labels of those with labels (floats of four bytes). `time` trains
on all with labels and prints "epoch seconds loss" for each epoch, the loss being the mean over the
epoch's rows, each judged before its batch's step; initial weights follow the same law as ours. `fit`
trains as published (at most 100 epochs, patience 10, the best epoch's weights) and writes the
predictions; recipe `published`: labels as they are, weights as PyTorch draws them, a rate of .001;
`same`: labels divided by their standard deviations, weights by our law, our rate of .003.
"""
import math
import sys
import time

try:
    import numpy
    import torch
except ImportError:
    sys.exit("torch is missing: install python3-torch, or name a python that has it in $PYTHON")

LENGTH = 100


def read_data(path):
    raw = open(path, "rb").read()
    sizes = numpy.frombuffer(raw, dtype=numpy.int32, count=3)
    total, labelled = int(sizes.sum()), int(sizes[:2].sum())
    codes = numpy.frombuffer(raw, dtype=numpy.uint8, count=total * LENGTH, offset=12)
    labels = numpy.frombuffer(raw, dtype=numpy.float32, offset=12 + total * LENGTH)
    codes = torch.from_numpy(codes.reshape(total, LENGTH).astype(numpy.int64))
    x = torch.nn.functional.one_hot(codes, 4).float().transpose(1, 2).contiguous()
    return sizes, x, torch.from_numpy(labels.reshape(labelled, 2).copy())


def build(level=None):
    """level: where outputs start, together with weights by our law."""
    layers, channels = [], 4
    for _ in range(3):
        layers += [torch.nn.Conv1d(channels, 15, 7), torch.nn.BatchNorm1d(15), torch.nn.ReLU()]
        channels = 15
    layers += [torch.nn.Flatten(), torch.nn.Linear(82 * 15, 30), torch.nn.ReLU(),
               torch.nn.Linear(30, 2)]
    model = torch.nn.Sequential(*layers)
    for layer in model if level is not None else []:
        if isinstance(layer, (torch.nn.Conv1d, torch.nn.Linear)):
            torch.nn.init.normal_(layer.weight, std=math.sqrt(1 / (3 * layer.weight[0].numel())))
            torch.nn.init.zeros_(layer.bias)
    if level is not None:
        model[-1].bias.data[:] = level
    return model


def epoch_of(model, optimizer, x, y, rows, parts):
    model.train()
    total = 0.0
    for batch in torch.tensor_split(rows[torch.randperm(len(rows))], parts):
        optimizer.zero_grad()
        loss = ((model(x[batch]) - y[batch]) ** 2).mean()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(batch)
    return total / len(rows)


def adam(model, rate=1e-3):
    return torch.optim.Adam(model.parameters(), lr=rate, amsgrad=True)


def run_time(path, threads, batch, epochs):
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    _, x, y = read_data(path)
    y = y / y.std(0)
    model = build(y.mean(0))
    optimizer, rows = adam(model), torch.arange(len(y))
    for epoch in range(epochs):
        start = time.perf_counter()
        loss = epoch_of(model, optimizer, x, y, rows, math.ceil(len(rows) / batch))
        print(epoch + 1, time.perf_counter() - start, loss, flush=True)


def evaluate(model, x):
    model.eval()
    with torch.no_grad():
        return torch.cat([model(part) for part in x.split(1000)])


def run_fit(path, out, threads, batch, seed, recipe):
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    sizes, x, y = read_data(path)
    n_train, n_held = int(sizes[0]), int(sizes[1])
    scale = y[:n_train].std(0) if recipe == "same" else torch.ones(2)
    y = y / scale
    held = slice(n_train, n_train + n_held)
    model = build(y[:n_train].mean(0) if recipe == "same" else None)
    optimizer = adam(model, 3e-3 if recipe == "same" else 1e-3)
    rows = torch.arange(n_train)
    best, bad, kept = math.inf, 0, None
    for _ in range(100):
        epoch_of(model, optimizer, x, y, rows, math.ceil(n_train / batch))
        loss = ((evaluate(model, x[held]) - y[held]) ** 2).mean().item()
        bad = 0 if loss < best else bad + 1
        if loss < best:
            best, kept = loss, {k: v.clone() for k, v in model.state_dict().items()}
        if bad >= 10:
            break
    model.load_state_dict(kept)
    (evaluate(model, x[n_train + n_held:]) * scale).numpy().astype(numpy.float32).tofile(out)


def main(arguments):
    if arguments[0] == "time":
        run_time(arguments[1], *map(int, arguments[2:5]))
    else:
        run_fit(arguments[1], arguments[2], *map(int, arguments[3:6]), arguments[6])


main(sys.argv[1:])
