"""Random views of images: batch-vectorised layers, and recipes composed of them."""

from keras_tc2.augment.byol import byol
from keras_tc2.augment.image_augmentation import ImageAugmentation
from keras_tc2.augment.medical import medical
from keras_tc2.augment.multi_crop import multi_crop
from keras_tc2.augment.pipeline import Pipeline
from keras_tc2.augment.random_channel_gain import RandomChannelGain
from keras_tc2.augment.random_color_jitter import RandomColorJitter
from keras_tc2.augment.random_gaussian_blur import RandomGaussianBlur
from keras_tc2.augment.random_grayscale import RandomGrayscale
from keras_tc2.augment.random_horizontal_flip import RandomHorizontalFlip
from keras_tc2.augment.random_quarter_turn import RandomQuarterTurn
from keras_tc2.augment.random_resized_crop import RandomResizedCrop
from keras_tc2.augment.random_solarize import RandomSolarize
from keras_tc2.augment.random_vertical_flip import RandomVerticalFlip
from keras_tc2.augment.satellite import satellite
from keras_tc2.augment.show_views import show_views
from keras_tc2.augment.simclr import simclr, small_images
from keras_tc2.augment.simclr_tasks import simclr_tasks
from keras_tc2.augment.views import Views

__all__ = [
    "ImageAugmentation",
    "Pipeline",
    "RandomChannelGain",
    "RandomColorJitter",
    "RandomGaussianBlur",
    "RandomGrayscale",
    "RandomHorizontalFlip",
    "RandomQuarterTurn",
    "RandomResizedCrop",
    "RandomSolarize",
    "RandomVerticalFlip",
    "Views",
    "byol",
    "medical",
    "multi_crop",
    "satellite",
    "show_views",
    "simclr",
    "simclr_tasks",
    "small_images",
]


def __dir__() -> list[str]:
    return __all__
