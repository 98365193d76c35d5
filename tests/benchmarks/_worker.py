"""Each contender lives in its own process: its allocator, its peak memory; they are asked one at a time."""

import multiprocessing
import sys
from collections.abc import Mapping
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
        return torch.cuda.max_memory_allocated(device)
    try:
        import resource
    except ImportError:  # Windows
        return 0
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


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
        elif request == "fingerprint":
            connection.send(runner.fingerprint())
        elif request == "versions":
            connection.send(found)
        else:
            runner.model.train(request == "train")
            connection.send(seconds_of(getattr(runner, request), device))


class Worker:
    """A process that runs one contender on request: ``"train"``, ``"infer"``, ``"memory"``, ``"fingerprint"``."""

    def __init__(self, contender: Any, size: tuple[int, int], batch_size: int, options: Mapping) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        arguments = (theirs, contender, size, batch_size, dict(options))
        self.process = context.Process(target=_serve, args=arguments, daemon=True)
        self.process.start()
        theirs.close()

    def ask(self, request: str) -> Any:
        """What the process answers; it may take long."""
        try:
            self.connection.send(request)
            return self.connection.recv()
        except (EOFError, BrokenPipeError) as error:
            raise RuntimeError(f"a contender's process ended while it was asked to {request}; see above.") from error

    def end(self) -> None:
        """Let the process end and give its memory back."""
        try:
            self.connection.send("end")
        except OSError:
            self.process.terminate()
        self.process.join()
        self.connection.close()


def start_workers(
    stack: ExitStack, contenders: Mapping[str, Any], size: tuple[int, int], batch_size: int, options: Mapping
) -> dict[str, Worker]:
    """A worker for each contender; all end with `stack`."""
    workers = {}
    for name, contender in contenders.items():
        workers[name] = Worker(contender, size, batch_size, options)
        stack.callback(workers[name].end)
    return workers
