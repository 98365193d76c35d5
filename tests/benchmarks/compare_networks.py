"""Our U-Net beside fastai's and segmentation-models-pytorch's: ``python -m tests.benchmarks.compare_networks --help``.

Every contender lives in its own process and they take turns, so that what slows the machine slows all of them.
"""

import argparse
import functools
import operator
import os
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, replace

import torch
from tqdm import tqdm

from course_utils.command_line import exit_status, usable_device
from course_utils.progress import progress_bar
from tests.benchmarks._networks import ENCODERS, N_OUT, NORMS, PRECISIONS, Contender, difference
from tests.benchmarks._report import (
    add_common_options,
    check_batch,
    check_common_options,
    check_libraries,
    write_record,
)
from tests.benchmarks._timing import CLOCKS, ratios, spread, take_turns
from tests.benchmarks._worker import ContenderEndedError, Worker, ask_all, start_workers, warm_up

REFERENCE = "fastai"
LIMITS = ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA")
"""Variables that keep PyTorch's and oneDNN's own code from wider instructions than they name."""

CHEAP = {"tail": "unshuffle", "block": "bottleneck"}
DECODERS = {"full": {}, "cheap": CHEAP, "cheapest": CHEAP | {"tail": "merged", "middle": "bottleneck"}}


def overview(device: str, compile: bool, amp: str) -> dict[str, Contender]:
    """The networks, each as its users would run it; fastai's also with what ours is given."""
    keep = device == "cpu"
    mode = ("default" if keep else "reduce-overhead") if compile else ""
    ours = {"fused": True, "keep_memory": keep, "compile": mode, "amp": amp, "autotune": not keep}
    fast = keep and amp == "none" and not compile
    ours |= {"convolutions": "fast"} if fast else {"channels_last": True}
    contenders = {REFERENCE: Contender("fastai"), "course": Contender("course", **ours)}
    if keep:
        contenders["fastai, memory kept"] = Contender("fastai", keep_memory=True)
        contenders["course, memory not kept"] = Contender("course", **ours | {"keep_memory": False})
    return contenders | {
        "course, unshuffled tail": Contender("course", tail="unshuffle", **ours),
        "course, cheap decoder": Contender("course", **CHEAP, **ours),
        "smp": Contender("smp"),
        "smp, same settings": Contender("smp", **ours),
    }


def ladder(device: str, compile: bool, amp: str) -> dict[str, Contender]:
    """One change at a time, each on top of the one before; and fastai with what any network could be given.

    The unshuffled tail and the bottleneck blocks make it another network, with bottlenecks too narrow for
    Winograd's trick. On a CPU, `torch.compile` stands beside the ladder: it takes PyTorch's convolutions.
    """
    steps = {"course": {}, "+ fused AdamW": {"fused": True}}
    if device == "cpu":
        steps["+ memory kept"] = {"keep_memory": True}
    else:
        steps["+ cuDNN tries its algorithms"] = {"autotune": True}
    steps["+ channels_last"] = {"channels_last": True}
    if device == "cpu" and amp == "none":
        steps["+ Winograd's trick"] = {"convolutions": "winograd"}
        steps["+ matrix products"] = {"convolutions": "fast"}
    if amp != "none":
        steps[f"+ {amp}"] = {"amp": amp}
    if compile:
        steps["+ compile"] = {"compile": "default"}
        if device == "cuda":
            steps["+ CUDA graphs"] = {"compile": "reduce-overhead"}
    for_any_network = {name: value for change in steps.values() for name, value in change.items() if name != "compile"}
    steps |= {"+ unshuffled tail": {"tail": CHEAP["tail"]}, "+ bottleneck blocks": {"block": CHEAP["block"]}}
    if device == "cpu" and amp == "none":
        steps |= {
            "+ PyTorch's convolutions": {"convolutions": "torch"},
            "+ its layout": {"channels_last": False},
        }
    contenders, so_far = {REFERENCE: Contender("fastai")}, {}
    for name, change in steps.items():
        so_far |= change
        contenders[name] = Contender("course", **so_far)
    contenders["fastai with all but compile"] = Contender("fastai", **for_any_network)
    return contenders


def decoders(device: str, compile: bool, amp: str) -> dict[str, Contender]:
    """Our default network and those with cheaper decoders, each in every memory layout: the best of each counts."""
    common = {"fused": True, "keep_memory": device == "cpu", "autotune": device != "cpu", "amp": amp}
    common["compile"] = "default" if compile else ""
    layouts = {"": {}, ", channels_last": {"channels_last": True}}
    if device == "cpu" and amp == "none" and not compile:
        layouts[", fast convolutions"] = {"convolutions": "fast"}
    return {REFERENCE: Contender("fastai")} | {
        decoder + layout: Contender("course", **options, **change, **common)
        for decoder, options in DECODERS.items()
        for layout, change in layouts.items()
    }


def bfloat16(device: str, compile: bool, amp: str) -> dict[str, Contender]:
    """float32, bfloat16, and bfloat16 with the gradients of depthwise convolutions in float32, on a CPU."""
    common = {"fused": True, "keep_memory": True, "channels_last": True}
    precisions = {"": {}, ", bf16": {"amp": "bf16"}, ", bf16, depthwise in float32": {"amp": "bf16", "depthwise": True}}
    return {REFERENCE: Contender("fastai")} | {
        decoder + precision: Contender("course", **DECODERS[decoder], **change, **common)
        for decoder in ("full", "cheap")
        for precision, change in precisions.items()
    }


SETS = {"overview": overview, "ladder": ladder, "decoders": decoders, "bfloat16": bfloat16}


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parse = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.compare_networks",
        description="Time training steps and inference of U-Nets on the same batch, in turns, and their peak memory. "
        "Ratios are taken within a round; their median and quartiles are reported.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parse.add_argument(
        "set",
        choices=SETS,
        help="all libraries; one change at a time; our decoders; bfloat16 (CPU)",
    )
    parse.add_argument("--encoder", choices=ENCODERS, default="resnet34", help="of every network")
    parse.add_argument("--norm", choices=NORMS, default="none", help="of the decoders, fastai's and ours")
    parse.add_argument("--size", type=int, nargs=2, default=(180, 240), metavar=("H", "W"), help="pixels")
    parse.add_argument("--batch-size", type=int, default=2, help="pictures in a step")
    parse.add_argument("--rounds", type=int, default=5, help="rounds that count; one more warms up")
    parse.add_argument("--only", nargs="+", metavar="NAME", help=f"of the set; {REFERENCE} is always there")
    parse.add_argument("--clock", choices=CLOCKS, default="wall", help="processor time: where other programs run too")
    parse.add_argument("--compile", action="store_true", help="torch.compile as well (first step: a minute)")
    parse.add_argument("--amp", choices=PRECISIONS, default="none", help="mixed precision of ours: not the same maths")
    add_common_options(parse)
    return parse


def choose(args: argparse.Namespace, device: torch.device) -> dict[str, Contender]:
    """The contenders that were asked for; refuses what cannot be measured."""
    check_batch(args)
    if args.amp == "fp16" and device.type != "cuda":
        raise ValueError("--amp fp16 needs a GPU; take bf16.")
    if args.set == "bfloat16" and (device.type != "cpu" or args.compile or args.amp != "none"):
        raise ValueError("bfloat16 is for a CPU, without --compile and --amp.")
    contenders = SETS[args.set](device.type, args.compile, args.amp)
    unknown = [name for name in args.only or () if name not in contenders]
    if unknown:
        raise ValueError(f"--only {unknown[0]!r} is not one of {', '.join(map(repr, contenders))}.")
    if args.only:
        contenders = {name: found for name, found in contenders.items() if name in (REFERENCE, *args.only)}
    check_libraries({contender.library for contender in contenders.values()})
    return {name: replace(found, encoder=args.encoder, norm=args.norm) for name, found in contenders.items()}


def measure(args: argparse.Namespace, contenders: Mapping[str, Contender], device: torch.device) -> dict:
    """All numbers of one size: times, memory, and how far each network's results lie from the reference's."""
    options = {"threads": args.threads, "device": str(device)}
    on_gpu = device.type == "cuda"
    with ExitStack() as stack:
        bar = stack.enter_context(progress_bar(total=len(contenders) * 2 * (args.rounds + on_gpu), unit="job"))
        bar.set_description("starting" + (" and compiling, minutes" if args.compile else ""))
        workers = start_workers(stack, contenders, tuple(args.size), args.batch_size, options)
        found = {name: {"setting": asdict(contender)} for name, contender in contenders.items()}
        versions = ask_all(workers, "versions", on_gpu).values()
        same = [name for name, contender in contenders.items() if contender.same_network]
        fingerprints = ask_all(workers, "fingerprint", on_gpu, same)
        # Inference first: the peak of a process only grows, and training needs more.
        for job in ("infer", "train"):
            if on_gpu:
                warm_up(workers, job)
            else:
                ask_all(workers, job, together=False)  # a first time, which does not count
            if REFERENCE not in workers:
                raise RuntimeError(f"without {REFERENCE} there is nothing to compare with.")
            bar.set_description({"infer": "inference", "train": "training steps"}[job])
            works = {name: functools.partial(_ask, name, worker, job, bar) for name, worker in workers.items()}
            samples = take_turns(works, args.rounds, warm_up=int(on_gpu))
            faster = ratios(samples, REFERENCE, args.clock)
            memory = ask_all(workers, "memory", together=False)
            for name in workers:
                found[name][job] = {
                    "times_faster": faster[name],
                    "seconds": spread([sample[args.clock] for sample in samples[name]]),
                    "peak_bytes": memory[name],
                }
    for name in fingerprints.keys() - {REFERENCE}:
        found[name]["difference"] = difference(fingerprints[name], fingerprints[REFERENCE])
    return {
        "libraries": functools.reduce(operator.or_, versions),
        "contenders": {name: found[name] for name in workers},
        "left_out": [name for name in contenders if name not in workers],
    }


def _ask(name: str, worker: Worker, job: str, bar: tqdm) -> dict[str, float]:
    try:
        answer = worker.ask(job)
    except ContenderEndedError as error:
        raise RuntimeError(f"{name}: {error}.") from error
    bar.update()
    return answer


def table(result: Mapping) -> str:
    """A row for each contender: how many times faster than the reference, in training and inference, and memory."""
    lines = [
        f"{'':30s} {'training step':>30s} {'inference':>24s} {'memory':>7s} {'difference':>10s}",
        f"{'':30s} {'seconds':>9s} {'times faster':>20s} {'times faster':>24s} {'GiB':>7s} {'gradients':>10s}",
    ]
    for name, row in result["contenders"].items():
        train, infer = row["train"], row["infer"]
        apart = f"{row['difference']['gradients']:10.0e}" if "difference" in row else f"{'':10s}"
        lines.append(
            f"{name:30s} {train['seconds']['median']:9.3f} {_ratio(train):>20s} {_ratio(infer):>24s} "
            f"{train['peak_bytes'] / 2**30:7.2f} {apart}"
        )
    return "\n".join(line.rstrip() for line in lines)


def _ratio(job: Mapping) -> str:
    found = job["times_faster"]
    return f"{found['median']:.2f} ({found['low']:.2f}..{found['high']:.2f})"


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    args = parser().parse_args(argv)
    return exit_status("compare_networks", functools.partial(run, args))


def run(args: argparse.Namespace) -> None:
    """Check, measure, write and print."""
    check_common_options(args, "batch_size", "rounds")
    device = usable_device(args.device)
    contenders = choose(args, device)
    torch.set_num_threads(args.threads)
    measured = measure(args, contenders, device)
    found = {
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "limits": {name: os.environ[name] for name in LIMITS if name in os.environ},
        "network": f"U-Net around {args.encoder}, {N_OUT} classes",
        "size": list(args.size),
        "batch_size": args.batch_size,
        "rounds": args.rounds,
        "clock": args.clock,
        "contenders": measured["contenders"],
        "left_out": measured["left_out"],
    }
    print(table(write_record(parser(), args, device, found, libraries=measured["libraries"])))


if __name__ == "__main__":
    sys.exit(main())
