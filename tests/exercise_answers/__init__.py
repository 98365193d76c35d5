"""For every exercise a right answer written another way, and at least three mistakes of the kind learners make.

`ALSO_RIGHT` has more right answers of some exercises: in single precision, or of another type. `FORBIDDEN` has answers
whose values are right, by a function that the exercise asks to do without.
"""

from tests.exercise_answers import (
    five_restorations,
    interpolation,
    pixel_shuffle,
    restoration,
    segmentation,
    skips_and_hooks,
    transposed_convolution,
    unet_training,
)

TOPICS = (
    segmentation,
    transposed_convolution,
    interpolation,
    pixel_shuffle,
    restoration,
    skips_and_hooks,
    unet_training,
    five_restorations,
)

RIGHT = {name: answer for topic in TOPICS for name, answer in topic.RIGHT.items()}
ALSO_RIGHT = {name: answers for topic in TOPICS for name, answers in getattr(topic, "ALSO_RIGHT", {}).items()}
FORBIDDEN = {name: answers for topic in TOPICS for name, answers in getattr(topic, "FORBIDDEN", {}).items()}
WRONG = {name: answers for topic in TOPICS for name, answers in topic.WRONG.items()}
