"""Makes tests/golden/optimiser_torch.inc and tests/golden/schedule_torch.inc: what PyTorch's optimisers and
learning-rate schedules make of a small problem, which tests/golden/test_optimiser_torch.c compares with ours.

    python3 tests/golden/optimiser_torch.py tests/golden

(Debian 12: python3-torch 1.13.) Weights and gradients come from a linear congruential generator that
the test repeats, in float32. The second of the two parameters has no decay and a tenth of the rate.
"""
import sys
import warnings

import torch
from torch.optim import lr_scheduler as lr

warnings.simplefilter("ignore")
COUNTS, STEPS, RATE, FACTOR = (11, 5), 6, 0.05, 0.1

CASES = [  # kind, momentum, nesterov, decay, clip, average
    ("SGD", 0, False, 0, 0, 0),
    ("SGD", 0.9, False, 0.01, 0, 0),
    ("SGD", 0.9, True, 0.01, 0.7, 0),
    ("SGD", 0.9, False, 0, 0, 0.9),
    ("ADAMW", 0, False, 0, 0, 0),
    ("ADAMW", 0, False, 0.1, 0.7, 0.999),
]

SCHEDULES = [  # kind, every, warmup, steps, last
    ("CONSTANT", 1, 0, 10, 0),
    ("CONSTANT", 1, 4, 10, 0),
    ("STEP", 3, 0, 12, 0),
    ("STEP", 3, 2, 12, 0),
    ("COSINE", 1, 0, 10, 0),
    ("COSINE", 1, 0, 10, 0.01),
    ("COSINE", 1, 5, 20, 0),
    ("ONE_CYCLE", 1, 0, 30, 0),
    ("ONE_CYCLE", 1, 0, 7, 0),
]


def numbers():
    state = 12345
    while True:
        state = (state * 1664525 + 1013904223) % 2**32
        yield (state >> 8) / 2**23 - 1


def run(kind, momentum, nesterov, decay, clip, average):
    source = numbers()
    take = lambda n: torch.tensor([next(source) for _ in range(n)], dtype=torch.float32)
    params = [torch.nn.Parameter(take(n)) for n in COUNTS]
    groups = [{"params": params[:1], "weight_decay": decay, "lr": RATE},
              {"params": params[1:], "weight_decay": 0, "lr": RATE * FACTOR}]
    if kind == "SGD":
        optimiser = torch.optim.SGD(groups, lr=RATE, momentum=momentum, nesterov=nesterov)
    else:
        optimiser = torch.optim.AdamW(groups, lr=RATE)
    module = torch.nn.ParameterList(params)
    averaged = torch.optim.swa_utils.AveragedModel(
        module, avg_fn=lambda a, w, n: a + (1 - min(average, (1 + int(n)) / (10 + int(n)))) * (w - a))
    averaged.update_parameters(module)  # the first call copies
    for _ in range(STEPS):
        for p in params:
            p.grad = take(len(p))
        if clip:
            torch.nn.utils.clip_grad_norm_(params, clip)
        optimiser.step()
        averaged.update_parameters(module)
    row = lambda ps: ", ".join("%.9g" % float(x) for p in ps for x in p)
    print("{ OPTIMISER_%s, %g, %s, %g, %g, %g,\n  { %s },\n  { %s } }," % (
        kind, momentum, str(nesterov).lower(), decay, clip, average, row(params),
        row(list(averaged.parameters()) if average else [])))


def rates(kind, every, warmup, steps, last):
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=RATE)
    rest = steps - warmup
    if kind == "ONE_CYCLE":
        schedule = lr.OneCycleLR(optimiser, max_lr=RATE, total_steps=rest)
    else:
        schedule = {"CONSTANT": lambda: lr.ConstantLR(optimiser, factor=1),
                    "STEP": lambda: lr.StepLR(optimiser, every, gamma=0.1),
                    "COSINE": lambda: lr.CosineAnnealingLR(optimiser, rest, eta_min=last)}[kind]()
    if warmup:
        rise = lr.LinearLR(optimiser, start_factor=1 / warmup, total_iters=warmup - 1)
        schedule = lr.SequentialLR(optimiser, [rise, schedule], milestones=[warmup])
    out = []
    for _ in range(steps):
        out.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        schedule.step()
    print("{ SCHEDULE_%s, %d, %d, %d, %g,\n  { %s } }," % (
        kind, every, warmup, steps, last, ", ".join("%.10g" % x for x in out)))


def main():
    folder = sys.argv[1]
    with open(folder + "/optimiser_torch.inc", "w") as sys.stdout:
        print("/* Made by tests/golden/optimiser_torch.py: kind, momentum, nesterov, decay, clip, average, weights"
              " after the\n * last step, their averages. */")
        for case in CASES:
            run(*case)
    with open(folder + "/schedule_torch.inc", "w") as sys.stdout:
        print("/* Made by tests/golden/optimiser_torch.py: kind, every, warmup, steps, last, the rate of each step. */")
        for case in SCHEDULES:
            rates(*case)


main()
