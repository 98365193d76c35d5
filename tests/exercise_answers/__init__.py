"""For every exercise a right answer written another way, and at least three mistakes of the kind learners make."""

from tests.exercise_answers import segmentation, unet_training

RIGHT = {**segmentation.RIGHT, **unet_training.RIGHT}
WRONG = {**segmentation.WRONG, **unet_training.WRONG}
