"""Checkpoints that a kill cannot damage, and that continue only the run they are of."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from course_utils.files import prove_writable, replacing

FORMAT = "unet-course training checkpoint, version 1"
PARTS = {
    **dict.fromkeys(("settings", "model", "optimizer", "scheduler", "scaler", "history", "epoch_rng", "rng"), dict),
    "epoch": int,
    "sizes": list,
    "seconds": float,
}
"""What `TrainingRun.save` puts into it, besides the average of the weights."""


class CheckpointError(RuntimeError):
    """A checkpoint that cannot be used: damaged, foreign, or of a run with other settings."""


def prepare_checkpoint(path: Path) -> None:
    """Make the folder, prove that it can be written, and remove what a killed run left behind.

    Raises:
        OSError: if a checkpoint could not be written here.
    """
    if path.is_dir():
        raise OSError(f"checkpoint={str(path)!r} is a folder; name a file, such as {str(path / 'run.pt')!r}.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        prove_writable(path)
    except OSError as error:
        raise OSError(f"no checkpoint can be written to {path} ({error}); choose a folder you may write to.") from error


def save_checkpoint(path: Path, payload: dict[str, Any]) -> None:
    """Write `payload` so that `path` holds either the old checkpoint or the new one, whole, at every moment.

    Raises:
        OSError: if it cannot be written; the old checkpoint is untouched.
    """
    try:
        with replacing(path) as temporary, open(temporary, "wb") as file:
            torch.save({"format": FORMAT, **payload}, file)
    except (OSError, RuntimeError) as error:  # torch reports a full disk as a RuntimeError
        raise OSError(f"the checkpoint {path} could not be written ({error}); the one before it is intact.") from error


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint into CPU memory; only tensors and plain values are unpickled, so a foreign file runs no code.

    Raises:
        CheckpointError: if the file is damaged or no checkpoint of `course_utils.training.fit`.
    """
    try:
        payload = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # what a damaged zip archive or pickle raises is of a dozen kinds
        # Only its kind is passed on: torch's own text advises to unpickle foreign files without a guard.
        raise CheckpointError(f"{path} cannot be read as a checkpoint ({type(error).__name__}); {_REMEDY}.") from error
    if not isinstance(payload, dict) or payload.get("format") != FORMAT:
        raise CheckpointError(f"{path} is not a checkpoint that fit wrote; {_REMEDY}.")
    return payload


_REMEDY = "delete it or name another file (or call fit with resume=False)"


def check_parts(path: Path, saved: dict[str, Any]) -> None:
    """Refuse a checkpoint that lacks a part, while nothing has been taken from it.

    Raises:
        CheckpointError: naming the part.
    """
    lacking = [name for name, kind in PARTS.items() if not isinstance(saved.get(name), kind)]
    if lacking or "average" not in saved:
        raise damaged(path, f"it lacks {(*lacking, 'average')[0]}")


def damaged(path: Path, why: str) -> CheckpointError:
    """The error to raise where a checkpoint can be read and cannot be used."""
    return CheckpointError(f"{path} is damaged: {why}; {_REMEDY}.")


def check_same_run(path: Path, saved: dict[str, Any], settings: dict[str, Any], model: torch.nn.Module) -> None:
    """Refuse a checkpoint of a run with other settings or of another model.

    Raises:
        CheckpointError: naming everything that differs.
    """
    differences = [
        f"{name} was {_short(was)} and is {_short(value)}" for name, was, value in _changes(saved["settings"], settings)
    ]
    own = model.state_dict()
    for of in (lambda tensor: tuple(tensor.shape), lambda tensor: tensor.dtype):
        there, here = (
            {name: of(value) for name, value in state.items() if isinstance(value, torch.Tensor)}
            for state in (saved["model"], own)
        )
        odd = [name for name in (*there, *here) if there.get(name) != here.get(name)]
        if odd:
            differences.append(f"{odd[0]} in the model was {there.get(odd[0])} and is {here.get(odd[0])}")
            break
    if differences:
        said = ", ".join(dict.fromkeys(differences))  # settings may hold what the recipe's words hold too
        raise CheckpointError(
            f"{path} belongs to another run: {said}; use the same settings to continue it, or {_REMEDY}."
        )


def _changes(saved: dict[str, Any], settings: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Name, old and new value of each setting that differs; of settings written as JSON, of each entry."""
    for name, value in settings.items():
        was = saved.get(name)
        if was == value:
            continue
        before, now = _entries(was), _entries(value)
        if before is None or now is None:
            yield name, was, value
        else:
            yield from ((key, before.get(key), now.get(key)) for key in now | before if before.get(key) != now.get(key))


def _entries(value: Any) -> dict[str, Any] | None:
    """What a JSON text of an object holds; None for anything else."""
    try:
        found = json.loads(value)
    except (TypeError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _short(value: Any) -> str:
    return f"{len(value)} tensors" if isinstance(value, list) and len(value) > 8 else repr(value)
