"""Predictions of all single-letter mutants of a sequence by PyTorch, for bench/sequence.R.

sequence_torch.py model sequence threads seconds batches effects

model: path of a model as write_seq_model() writes it, without the ending; sequence: its letters;
batches: sizes, joined by commas. Prints a line for each way and batch size: way, batch, the
microseconds of a mutant (forward passes alone, on mutants made beforehand). Writes the effects of
N_EFFECTS mutants from the middle on to the file `effects`, one line for each.
"""
import json
import math
import sys
import time

import torch
import torch.nn.functional as F

N_EFFECTS = 90


def load_tensors(path, head):
    with open(path + ".bin", "rb") as blob:
        numbers = torch.frombuffer(bytearray(blob.read()), dtype=torch.float32)
    tensors = {}
    for t in head["tensors"]:
        n = math.prod(t["shape"])
        part = numbers[t["offset"]:t["offset"] + n].reshape([int(k) for k in t["shape"]]).clone()
        tensors[t["layer"], t["tensor"]] = part
    return tensors


def make_layer(layer, tensors):
    """The layer as a module on (batch, channels, positions)."""
    kind, name = layer["type"], layer["name"]
    if kind == "conv":
        weight = tensors[name, "weight"].permute(2, 1, 0).contiguous()  # to out, in, taps
        conv = torch.nn.Conv1d(weight.shape[1], weight.shape[0], weight.shape[2],
                               padding=layer["padding"], dilation=layer["dilation"])
        conv.weight.data, conv.bias.data = weight, tensors[name, "bias"]
        return conv
    if kind == "dense":
        weight = tensors[name, "weight"].permute(2, 1, 0).flatten(1).contiguous()
        dense = torch.nn.Linear(weight.shape[1], weight.shape[0])
        dense.weight.data, dense.bias.data = weight, tensors[name, "bias"]
        return torch.nn.Sequential(torch.nn.Flatten(), dense)
    if kind == "batch_norm":
        norm = torch.nn.BatchNorm1d(len(tensors[name, "scale"]), eps=layer["epsilon"])
        norm.weight.data, norm.bias.data = tensors[name, "scale"], tensors[name, "shift"]
        norm.running_mean, norm.running_var = tensors[name, "mean"], tensors[name, "variance"]
        return norm
    if kind == "activation":
        return torch.nn.ReLU()
    return torch.nn.Identity()


class Net(torch.nn.Module):
    def __init__(self, head, tensors):
        super().__init__()
        self.layers, self.outputs = head["layers"], head["outputs"]
        made = [make_layer(layer, tensors) for layer in self.layers]
        self.made = torch.nn.ModuleList(made)

    def forward(self, x):
        value = {"sequence": x}
        for layer, made in zip(self.layers, self.made):
            given = [value[name] for name in layer["input"]]
            kind, h = layer["type"], given[0]
            if kind == "add":
                h = h + given[1]
            elif kind == "crop":
                h = h[:, :, layer["left"]:h.shape[2] - layer["right"]]
            elif kind == "global_average":
                h = h.mean(2)
            elif kind == "global_lse":
                h = torch.logsumexp(h, 2)
            else:
                h = made(h)
            value[layer["name"]] = h
        return torch.cat([value[name].flatten(1) for name in self.outputs], 1)


def mutants(codes, first, count):
    """One-hot mutants number first .. of all, in the order of position and letter."""
    hot = F.one_hot(codes, 4).float().T
    out = hot.repeat(count, 1, 1)
    for i in range(count):
        position, k = divmod((first + i) % (3 * len(codes)), 3)
        out[i, :, position] = 0
        out[i, k + (k >= codes[position]), position] = 1
    return out


def microseconds(net, codes, batch, seconds):
    x = mutants(codes, 0, batch)
    net(x)
    n, begin = 0, time.perf_counter()
    while n == 0 or time.perf_counter() - begin < seconds:
        net(x)
        n += batch
    return 1e6 * (time.perf_counter() - begin) / n


def main(path, sequence, threads, seconds, batches, effects):
    torch.set_num_threads(int(threads))
    with open(path + ".json") as file:
        head = json.load(file)
    codes = torch.tensor(["ACGT".index(letter) for letter in sequence])
    net = Net(head, load_tensors(path, head)).eval()
    with torch.inference_mode():
        reference = net(F.one_hot(codes, 4).float().T.unsqueeze(0))
        with open(effects, "w") as file:
            middle = 3 * (len(codes) // 2)
            for row in net(mutants(codes, middle, N_EFFECTS)) - reference:
                print(*[float(v) for v in row], file=file)
    with torch.no_grad():
        frozen = torch.jit.trace(net, mutants(codes, 0, 4))
        frozen = torch.jit.optimize_for_inference(torch.jit.freeze(frozen))
    with torch.inference_mode():
        for way, f in (("eager", net), ("frozen", frozen)):
            for batch in batches.split(","):
                us = microseconds(f, codes, int(batch), float(seconds))
                print(way, batch, us, flush=True)


main(*sys.argv[1:])
