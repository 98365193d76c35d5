"""Each contender lives in its own process: its allocator, its peak memory; they are asked one at a time."""

import multiprocessing
import sys
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

from tests.benchmarks._timing import seconds_of


def resident_bytes() -> int:
    """Memory that the process holds now (Linux; 0 elsewhere)."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.is_file() else []
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("VmRSS")), 0)


def peak_bytes(device: torch.device) -> int:
    """The most that this process has held until now: of the GPU's memory, or of the machine's."""
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device)  # what CUDA graphs hold is allocated but once, while recording
    try:
        import resource
    except ImportError:  # Windows
        return 0
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def forget_peak(device: torch.device) -> None:
    """Let the peak of a GPU's memory begin anew, without what warming up took; a process's own peak only grows."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def _serve(connection: Connection, contender: Any, size: tuple[int, int], batch_size: int, options: Mapping) -> None:
    from course_utils.memory import keep_freed_memory
    from tests.benchmarks._networks import Runner, versions

    if contender.keep_memory:
        keep_freed_memory()
    torch.set_num_threads(options["threads"])
    device = torch.device(options["device"])
    found = versions(contender.library)  # imports that library, so that its own size is not counted
    before = 0 if device.type == "cuda" else resident_bytes()
    runner = Runner(contender, size, batch_size, device)
    for request in iter(connection.recv, "end"):
        if request == "memory":
            connection.send(peak_bytes(device) - before)
        elif request == "forget":
            connection.send(forget_peak(device))
        elif request == "fingerprint":
            connection.send(runner.fingerprint())
        elif request == "versions":
            connection.send(found)
        else:
            runner.model.train(request == "train")
            connection.send(seconds_of(getattr(runner, request), device))


class ContenderEndedError(RuntimeError):
    """The process of a contender ended before it answered."""


class Worker:
    """A process that runs one contender on request.

    It knows ``"train"``, ``"infer"``, ``"memory"``, ``"forget"``, ``"fingerprint"`` and ``"versions"``.
    """

    def __init__(self, contender: Any, size: tuple[int, int], batch_size: int, options: Mapping) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        arguments = (theirs, contender, size, batch_size, dict(options))
        self.process = context.Process(target=_serve, args=arguments, daemon=True)
        self.process.start()
        theirs.close()

    def ask(self, request: str) -> Any:
        """What the process answers; it may take long."""
        self.begin(request)
        return self.finish(request)

    def begin(self, request: str) -> None:
        """Ask, and do not wait: `finish` takes the answer."""
        try:
            self.connection.send(request)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise _ended(request) from error

    def finish(self, request: str) -> Any:
        """The answer to what was begun."""
        try:
            return self.connection.recv()
        except (EOFError, ConnectionResetError) as error:
            raise _ended(request) from error

    def end(self) -> None:
        """Let the process end and give its memory back."""
        try:
            self.connection.send("end")
        except OSError:
            self.process.terminate()
        self.process.join()
        self.connection.close()


def _ended(request: str) -> ContenderEndedError:
    return ContenderEndedError(f"its process ended when asked for {request!r}; see above")


def ask_all(
    workers: dict[str, Worker], request: str, together: bool, names: Iterable[str] | None = None
) -> dict[str, Any]:
    """The answers of `names`, or of all: one after the other or, where waiting is what takes long, `together`.

    A contender whose process ends is taken out of `workers`, and stderr says so: the others can still be compared.
    """
    answers = {}
    names = list(workers if names is None else names)
    for group in [names] if together else [[name] for name in names]:
        for step in ("begin", "finish"):
            for name in group:
                if name in workers:
                    try:
                        answers[name] = getattr(workers[name], step)(request)
                    except ContenderEndedError as error:
                        print(f"{name} is left out: {error}.", file=sys.stderr)
                        answers.pop(name, None)
                        del workers[name]
    return answers


def warm_up(workers: dict[str, Worker], job: str, times: int = 3) -> None:
    """Let all workers do `job` side by side: compiling takes a minute, and recording CUDA graphs three calls."""
    for request in [job] * times + ["forget"]:
        ask_all(workers, request, together=True)


def start_workers(
    stack: ExitStack, contenders: Mapping[str, Any], size: tuple[int, int], batch_size: int, options: Mapping
) -> dict[str, Worker]:
    """A worker for each contender; all end with `stack`."""
    workers = {}
    for name, contender in contenders.items():
        workers[name] = Worker(contender, size, batch_size, options)
        stack.callback(workers[name].end)
    return workers
