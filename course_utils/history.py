"""What a training run looked like: a row for each epoch, a loss and a learning rate for each step."""

from dataclasses import dataclass, field


@dataclass
class History:
    """Numbers of one call of `course_utils.training.fit`; plain lists, so it pickles, prints and plots.

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
