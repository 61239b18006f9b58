"""How the published tool trains: a batch of one person at a time, by PyTorch.

    python3 contextual_torch.py <people.csv> <epochs> <seed>

people.csv: columns y, x (the first stage's fit), valid (1: held out), then the context. The network
is ContextualizedRegressor's default: context -> 25 -> 25 -> 25 -> (slope, offset), ReLU, mean
squared error, Adam at 1e-3, rows in the same order every epoch. Prints
"seconds,loss,best_epoch,first_loss": of training (validation not counted), the lowest validation
loss, after which epoch, and the loss before training.
"""

import csv
import sys
import time

import torch


def read_people(path):
    with open(path, newline="", encoding="ascii") as file:
        rows = list(csv.reader(file))[1:]
    table = torch.tensor([[float(v) for v in row] for row in rows])
    held_out = table[:, 2] > 0.5
    return table[~held_out], table[held_out]


def build_encoder(n_context, width=25):
    return torch.nn.Sequential(
        torch.nn.Linear(n_context, width), torch.nn.ReLU(),
        torch.nn.Linear(width, width), torch.nn.ReLU(),
        torch.nn.Linear(width, width), torch.nn.ReLU(),
        torch.nn.Linear(width, 2))


def loss_of(encoder, batch):
    told = encoder(batch[:, 3:])
    predicted = told[:, 0] * batch[:, 1] + told[:, 1]
    return torch.mean((batch[:, 0] - predicted) ** 2)


def train(encoder, people, optimiser):
    for batch in people.split(1):
        optimiser.zero_grad()
        loss_of(encoder, batch).backward()
        optimiser.step()


def main(path, epochs, seed):
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    people, held_out = read_people(path)
    encoder = build_encoder(people.shape[1] - 3)
    optimiser = torch.optim.Adam(encoder.parameters(), lr=1e-3)
    seconds, losses = 0.0, []
    with torch.no_grad():
        first = loss_of(encoder, held_out).item()
    for _ in range(epochs):
        started = time.perf_counter()
        train(encoder, people, optimiser)
        seconds += time.perf_counter() - started
        with torch.no_grad():
            losses.append(loss_of(encoder, held_out).item())
    best = min(range(epochs), key=losses.__getitem__)
    print("seconds,loss,best_epoch,first_loss")
    print(f"{seconds:.3f},{losses[best]:.6f},{best + 1},{first:.6f}")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
