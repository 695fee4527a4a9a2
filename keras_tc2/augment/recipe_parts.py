"""The parts that several recipes share, as lists of layers."""

from keras_tc2 import checks
from keras_tc2.augment.random_color_jitter import RandomColorJitter
from keras_tc2.augment.random_gaussian_blur import RandomGaussianBlur
from keras_tc2.augment.random_grayscale import RandomGrayscale

# SimCLR blurs ImageNet (224 pixels) but not CIFAR-10 (32).
MIN_BLUR_SIZE = 64


def color_layers(
    channels, *, brightness, contrast, saturation=0.0, hue=0.0, probability=0.8
):
    """Jitter and greyscale; for other than three channels, what needs no colour."""
    if checks.integer("channels", channels) != 3:
        return [
            RandomColorJitter(
                brightness=brightness, contrast=contrast, probability=probability
            )
        ]
    jitter = RandomColorJitter(
        brightness=brightness,
        contrast=contrast,
        saturation=saturation,
        hue=hue,
        probability=probability,
    )
    return [jitter, RandomGrayscale(probability=0.2)]


def blur_layers(image_size, *, probability=0.5):
    """A blur for views of at least `MIN_BLUR_SIZE` pixels a side, else nothing."""
    if checks.integer("image_size", image_size) < MIN_BLUR_SIZE:
        return []
    return [RandomGaussianBlur(probability=probability)]
