"""The autoencoder of instruments as a PyTorch loop: the same computation as mrlearn's.

    python3 latent_torch.py time <dir> <encoder> <degree> <width> <steps> <batch> <threads> <kernel>
    python3 latent_torch.py loss <dir> <encoder> <degree> <width>

<dir>: x.bin (float32, by row: the prepared instruments), shape.csv (rows, columns, environments),
environment.bin (int32, from 0), and for `loss` params.bin (float32: encoder's, then decoder's, as
mrlearn lays them out) and rows.bin (int32: the rows of the batch, by environment). Encoder "mlp"
(two hidden layers of `width`, layer norm, ReLU) or "linear"; decoder linear in the monomials up to
`degree`; V and W of two columns. `kernel`: "features" (polynomial MMD and HSIC from their features,
as mrlearn does) or "matrices" (from kernel matrices, as the published code does).

`time` prints "seconds,cpu" of training for so many steps; `loss` prints "loss,mse,mmd,hsic,logdet".
"""

import sys
import time

import numpy
import torch

DV, DW = 2, 2
WEIGHTS = {"reconstruction": 100.0, "mmd": 1.0, "hsic": 1.0, "entropy": 0.01}
LANES = 16


def read_data(folder):
    with open(f"{folder}/shape.csv", encoding="ascii") as file:
        rows, columns, environments = (int(v) for v in file.read().split(","))
    x = numpy.fromfile(f"{folder}/x.bin", dtype=numpy.float32).reshape(rows, columns)
    environment = numpy.fromfile(f"{folder}/environment.bin", dtype=numpy.int32)
    groups = [torch.from_numpy(numpy.flatnonzero(environment == e)) for e in range(environments)]
    return torch.from_numpy(x), groups


def monomial_pairs(n_vars, degree):
    """Parent and variable of each monomial past the first degree."""
    last, pairs = [(j, j) for j in range(n_vars)], []
    at = n_vars
    for _ in range(degree - 1):
        new = []
        for index, most in last:
            for j in range(most, n_vars):
                pairs.append((index, j))
                new.append((at, j))
                at += 1
        last = new
    return pairs


class Autoencoder(torch.nn.Module):
    def __init__(self, columns, encoder, degree, width):
        super().__init__()
        if encoder == "mlp":
            self.encoder = torch.nn.Sequential(
                torch.nn.Linear(columns, width), torch.nn.LayerNorm(width), torch.nn.ReLU(),
                torch.nn.Linear(width, width), torch.nn.LayerNorm(width), torch.nn.ReLU(),
                torch.nn.Linear(width, DV + DW))
        else:
            self.encoder = torch.nn.Linear(columns, DV + DW)
        pairs, size = monomial_pairs(DV + DW, degree), DV + DW
        n_features = size + len(pairs)
        self.by_degree = []  # monomials of one degree need those of the degree before
        while pairs:
            now = [pair for pair in pairs if pair[0] < size]
            self.by_degree.append((torch.tensor([p[0] for p in now]),
                                   torch.tensor([p[1] for p in now])))
            pairs, size = pairs[len(now):], size + len(now)
        self.decoder = torch.nn.Linear(n_features, columns)

    def features(self, latent):
        out = latent
        for parent, var in self.by_degree:
            out = torch.cat([out, out[:, parent] * latent[:, var]], 1)
        return out


def whiten(block):
    centred = block - block.mean(0)
    root = torch.linalg.cholesky(centred.T @ centred / len(block))
    return torch.linalg.solve_triangular(root, centred.T, upper=False).T


def poly_features(x):
    """Of (x'y + 1)^2, but for the constant."""
    d = x.shape[1]
    i, j = torch.triu_indices(d, d)
    factor = torch.where(i == j, 1.0, 2.0**0.5).to(x.dtype)
    return torch.cat([2**0.5 * x, factor * x[:, i] * x[:, j]], 1)


def mmd(x, y, kernel):
    if kernel == "features":
        return ((poly_features(x).mean(0) - poly_features(y).mean(0)) ** 2).sum()
    def mean(a, b):
        return ((a @ b.T + 1) ** 2).mean()
    return mean(x, x) + mean(y, y) - 2 * mean(x, y)


def hsic(x, y, kernel):
    n = len(x)
    if kernel == "features":
        fx, fy = poly_features(x), poly_features(y)
        return (((fx - fx.mean(0)).T @ (fy - fy.mean(0)) / n) ** 2).sum()
    def centred(a):
        k = (a @ a.T + 1) ** 2
        return k - k.mean(0, keepdim=True) - k.mean(1, keepdim=True) + k.mean()
    return (centred(x) * centred(y)).sum() / n**2


def parts_of(net, x, n_env, kernel):
    raw = net.encoder(x)
    latent = torch.cat([whiten(raw[:, :DV]), whiten(raw[:, DV:])], 1)
    mse = ((net.decoder(net.features(latent)) - x) ** 2).mean()
    blocks = latent.chunk(n_env)
    pairs = [mmd(blocks[e][:, DV:], blocks[f][:, DV:], kernel)
             for e in range(n_env) for f in range(e + 1, n_env)]
    dependence = [hsic(block[:, :DV], block[:, DV:], kernel) for block in blocks]
    log_det = -torch.logdet(latent.T @ latent / len(latent))
    return mse, sum(pairs) / len(pairs), sum(dependence) / n_env, log_det


def total(parts):
    mse, match, dependence, log_det = parts
    return (WEIGHTS["reconstruction"] * mse + WEIGHTS["mmd"] * match +
            WEIGHTS["hsic"] * dependence + WEIGHTS["entropy"] * log_det)


def train(net, x, groups, steps, batch, kernel):
    optimiser = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    orders, at = None, batch
    least = min(len(group) for group in groups)
    for _ in range(steps):
        if orders is None or at + batch > least:
            orders, at = [group[torch.randperm(len(group))] for group in groups], 0
        rows = torch.cat([order[at:at + batch] for order in orders])
        at += batch
        optimiser.zero_grad()
        total(parts_of(net, x[rows], len(groups), kernel)).backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        schedule.step()


def load_params(net, flat):
    """mrlearn's block: each piece padded to a whole number of 16; weights (in, out) by column."""
    at = 0
    def piece(size):
        nonlocal at
        values = flat[at:at + size]
        at += -(-size // LANES) * LANES
        return torch.from_numpy(values.copy())
    modules = list(net.encoder) if isinstance(net.encoder, torch.nn.Sequential) else [net.encoder]
    with torch.no_grad():
        for module in modules + [net.decoder]:
            if isinstance(module, torch.nn.Linear):
                module.weight.copy_(piece(module.weight.numel()).reshape(module.weight.shape))
                module.bias.copy_(piece(module.bias.numel()))
            elif isinstance(module, torch.nn.LayerNorm):
                module.weight.copy_(piece(module.weight.numel()))
                module.bias.copy_(piece(module.bias.numel()))
    return at


def main(what, folder, encoder, degree, width, *rest):
    x, groups = read_data(folder)
    torch.manual_seed(1)
    net = Autoencoder(x.shape[1], encoder, int(degree), int(width))
    if what == "loss":
        flat = numpy.fromfile(f"{folder}/params.bin", dtype=numpy.float32)
        assert load_params(net, flat) == len(flat)
        rows = torch.from_numpy(numpy.fromfile(f"{folder}/rows.bin", dtype=numpy.int32)).long()
        with torch.no_grad():  # else each kernel matrix of all rows is kept
            parts = parts_of(net.double(), x[rows].double(), len(groups), "matrices")
        print("loss,mse,mmd,hsic,logdet")
        print(",".join(f"{float(v):.9g}" for v in (total(parts), *parts)))
        return
    steps, batch, threads, kernel = int(rest[0]), int(rest[1]), int(rest[2]), rest[3]
    torch.set_num_threads(threads)
    train(net, x, groups, 5, batch, kernel)  # the first steps load libraries
    wall, cpu = time.perf_counter(), time.process_time()
    train(net, x, groups, steps, batch, kernel)
    print("seconds,cpu")
    print(f"{time.perf_counter() - wall:.4f},{time.process_time() - cpu:.4f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
