"""Writes a PyTorch model in the plain format that mrlearn's read_seq_model() reads.

An nn.Sequential on (batch, letters, positions) goes as it is:

    from mrlearn_export import export_sequential
    export_sequential(model, "path/model", length=200)

Other networks are put together layer by layer; a layer takes the one before it unless `inputs`
names others ("sequence" is the input):

    from mrlearn_export import Export
    out = Export(length=200)
    out.add(model.conv, name="h0")
    out.add(torch.nn.ReLU(), name="a0")
    out.add(model.deep, name="h1")
    out.add("add", name="sum", inputs=["a0", "h1"])
    out.add("global_average")
    out.add(model.head, name="y")
    out.save("path/model")

Both write model.json and model.bin. What cannot be written raises NotImplementedError.
"""

import json

import torch
from torch import nn


def _one(x):
    """The number in a setting that may be a tuple of one."""
    return x[0] if isinstance(x, (tuple, list)) else x


def _conv(m):
    taps, dilation = _one(m.kernel_size), _one(m.dilation)
    wide = (taps - 1) * dilation
    pad = m.padding if isinstance(m.padding, str) else _one(m.padding)
    if _one(m.stride) != 1 or m.padding_mode != "zeros":
        raise NotImplementedError("strides or another padding than zeros")
    if pad not in ("valid", "same", 0) and 2 * pad != wide:
        raise NotImplementedError("padding that does not keep the length")
    return dict(
        type="conv", units=m.out_channels, taps=taps, dilation=dilation, groups=m.groups,
        padding="valid" if pad in ("valid", 0) else "same", bias=m.bias is not None)


def _pool(m, kind):
    if _one(m.padding) != 0 or m.ceil_mode or _one(getattr(m, "dilation", 1)) != 1:
        raise NotImplementedError("pooling with padding, dilation or ceil_mode")
    return dict(type=kind, size=_one(m.kernel_size), stride=_one(m.stride), padding="valid")


def _global(m, kind):
    if _one(m.output_size) != 1:
        raise NotImplementedError("adaptive pooling to more than one position")
    return dict(type=kind)


def _activation(m):
    plain = {nn.ReLU: "relu", nn.Tanh: "tanh", nn.Sigmoid: "sigmoid", nn.Identity: "linear"}
    if type(m) in plain:
        return dict(type="activation", activation=plain[type(m)])
    if isinstance(m, nn.LeakyReLU):
        return dict(type="activation", activation="leaky_relu", slope=m.negative_slope)
    if isinstance(m, nn.GELU) and getattr(m, "approximate", "none") == "none":
        return dict(type="activation", activation="gelu")
    if isinstance(m, nn.Softplus) and m.beta == 1:
        return dict(type="activation", activation="softplus")
    raise NotImplementedError(type(m).__name__)


def _settings(m):
    if isinstance(m, nn.Conv1d):
        return _conv(m)
    if isinstance(m, nn.Linear):
        return dict(type="dense", units=m.out_features, bias=m.bias is not None)
    if isinstance(m, nn.BatchNorm1d):
        if m.running_var is None:
            raise NotImplementedError("batch norm without running statistics")
        return dict(type="batch_norm", epsilon=m.eps)
    if isinstance(m, nn.Dropout):
        return dict(type="dropout", rate=m.p)
    if isinstance(m, nn.MaxPool1d):
        return _pool(m, "max_pool")
    if isinstance(m, nn.AvgPool1d):
        return _pool(m, "average_pool")
    if isinstance(m, nn.AdaptiveMaxPool1d):
        return _global(m, "global_max")
    if isinstance(m, nn.AdaptiveAvgPool1d):
        return _global(m, "global_average")
    return _activation(m)


class Export:
    """Layers and tensors, in the order in which they are added."""

    def __init__(self, length, alphabet="DNA", unknown=0):
        self.head = dict(
            format="mrlearn-seq-model", version=1, length=length, alphabet=alphabet,
            unknown=unknown, layers=[], tensors=[])
        self.values = []
        self.n = 0

    def _put(self, layer, tensor, x, axes=None):
        x = x.detach().cpu().float().contiguous()
        entry = dict(layer=layer, tensor=tensor, offset=self.n, shape=list(x.shape))
        if axes:
            entry["axes"] = axes
        self.head["tensors"].append(entry)
        self.values.append(x.numpy().astype("<f4"))
        self.n += x.numel()

    def add(self, module, name=None, inputs=None, positions=1, **settings):
        """A module, or the word of a layer without parameters ("add", "crop", "global_lse", ...)
        with its settings. positions: of a Linear behind a flattened (channels, positions)."""
        layer = dict(type=module, **settings) if isinstance(module, str) else _settings(module)
        name = name or "%s_%d" % (layer["type"], len(self.head["layers"]) + 1)
        layer["name"] = name
        if inputs:
            layer["input"] = list(inputs)
        self.head["layers"].append(layer)
        if layer["type"] == "conv":
            self._put(name, "weight", module.weight, ["out", "in", "taps"])
        elif layer["type"] == "dense":
            weight = module.weight.reshape(module.out_features, -1, positions)
            self._put(name, "weight", weight, ["out", "channels", "positions"])
        elif layer["type"] == "batch_norm":
            ones = torch.ones_like(module.running_mean)
            self._put(name, "scale", ones if module.weight is None else module.weight)
            self._put(name, "shift", 0 * ones if module.bias is None else module.bias)
            self._put(name, "mean", module.running_mean)
            self._put(name, "variance", module.running_var)
        if layer.get("bias"):
            self._put(name, "bias", module.bias)
        return name

    def save(self, path, outputs=None, output_names=None):
        """outputs: names of layers; the last one if none are given."""
        self.head["outputs"] = list(outputs or [self.head["layers"][-1]["name"]])
        if output_names:
            self.head["output_names"] = list(output_names)
        self.head["n_floats"] = self.n
        with open(path + ".json", "w") as file:
            json.dump(self.head, file, indent=1)
        with open(path + ".bin", "wb") as file:
            for x in self.values:
                x.tofile(file)


def export_sequential(model, path, length, letters=4, output_names=None, **kwargs):
    out = Export(length, **kwargs)
    x = torch.zeros(1, letters, length)
    model = model.eval()
    positions = 1
    with torch.no_grad():
        for module in model:
            if isinstance(module, nn.Flatten):
                positions = x.shape[-1] if x.dim() == 3 else positions
            elif isinstance(module, nn.Linear):
                if x.dim() == 3:
                    raise NotImplementedError("Linear on a tensor that is not flattened")
                out.add(module, positions=positions)
                positions = 1
            elif isinstance(module, nn.BatchNorm1d) and x.dim() == 2 and positions > 1:
                raise NotImplementedError("batch norm between Flatten and Linear")
            else:
                out.add(module)
            x = module(x)
    if positions > 1:
        raise NotImplementedError("Flatten as the last layer")
    out.save(path, output_names=output_names)
