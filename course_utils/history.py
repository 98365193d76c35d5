"""What a training run looked like: a row for each epoch, a loss and a learning rate for each step."""

import json
import math
from dataclasses import asdict, dataclass, field


@dataclass
class History:
    """Numbers of one call of `course_utils.training.fit`; plain lists, so it pickles, prints and plots.

    ``History(**json.loads(text))`` reads back what `to_json` wrote.

    Attributes:
        epochs: a dict for each epoch: ``epoch`` (from 1), ``train_loss`` (mean over the epoch's pictures), ``lr`` (of
            its last step), ``seconds`` (training and evaluation), then whatever `evaluate` returned.
        step_losses: training loss of each step.
        step_lrs: learning rate of each step; with several rates the last one, to which the others keep their ratio.
    """

    epochs: list[dict[str, float]] = field(default_factory=list)
    step_losses: list[float] = field(default_factory=list)
    step_lrs: list[float] = field(default_factory=list)

    @property
    def last(self) -> dict[str, float]:
        """The row of the last epoch."""
        if not self.epochs:
            raise ValueError("the history is empty: no epoch was finished.")
        return self.epochs[-1]

    def best(self, name: str, lowest: bool = False) -> dict[str, float]:
        """The row of the epoch where `name` is highest (or `lowest`); the first of equals, and nan never wins."""
        if name not in self.last:
            raise KeyError(f"{name!r} is not in the history; it has {', '.join(self.last)}.")
        rows = [row for row in self.epochs if _is_number(row.get(name))]
        if not rows:
            raise ValueError(f"{name!r} is not a number in any epoch.")
        return (min if lowest else max)(rows, key=lambda row: row[name])

    def to_json(self) -> str:
        """Strict JSON, where nan and infinity, which it lacks, become null."""
        return json.dumps(_without_nan(asdict(self)), allow_nan=False)


def _is_number(value: float | None) -> bool:
    return value is not None and not math.isnan(value)


def _without_nan(value):
    if isinstance(value, dict):
        return {key: _without_nan(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_without_nan(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
