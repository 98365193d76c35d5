"""Seconds of things that take turns, and what can be said of them: ratios within a round, medians, spread."""

import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median, quantiles

import torch

CLOCKS = ("wall", "processor")


def seconds_of(work: Callable[[], object], device: torch.device) -> dict[str, float]:
    """Wall seconds of `work`, and seconds of processor time, which leave out what other programs take."""
    _wait_for(device)
    wall, processor = time.perf_counter(), time.process_time()
    work()
    _wait_for(device)
    return {"wall": time.perf_counter() - wall, "processor": time.process_time() - processor}


def _wait_for(device: torch.device) -> None:
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def take_turns(
    works: Mapping[str, Callable[[], dict[str, float]]], rounds: int, warm_up: int = 1
) -> dict[str, list[dict[str, float]]]:
    """Call every one of `works` once in each round, and keep what it returns.

    Every other round goes backwards, so that a machine which grows slower or faster favours nobody. The `warm_up`
    rounds are not kept.
    """
    samples = {name: [] for name in works}
    for i in range(-warm_up, rounds):
        for name in list(works)[:: -1 if i % 2 else 1]:
            sample = works[name]()
            if i >= 0:
                samples[name].append(sample)
    return samples


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median and quartiles."""
    low, _, high = quantiles(values, n=4, method="inclusive") if len(values) > 1 else [values[0]] * 3
    return {"median": median(values), "low": low, "high": high}


def ratios(samples: Mapping[str, Sequence[Mapping[str, float]]], reference: str, clock: str) -> dict[str, dict]:
    """How many times faster than `reference` each one is: its ratio in every round, then their spread."""
    base = [sample[clock] for sample in samples[reference]]
    return {
        name: spread([slow / sample[clock] for slow, sample in zip(base, own, strict=True)])
        for name, own in samples.items()
    }
