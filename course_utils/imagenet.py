"""Mean and spread of ImageNet's pictures, by channel, white 1: what torchvision's encoders were trained with."""

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
