"""For every exercise a right answer written another way, and at least three mistakes of the kind learners make."""

from tests.exercise_answers import segmentation, transposed_convolution, unet_training

RIGHT = {**segmentation.RIGHT, **transposed_convolution.RIGHT, **unet_training.RIGHT}
WRONG = {**segmentation.WRONG, **transposed_convolution.WRONG, **unet_training.WRONG}
