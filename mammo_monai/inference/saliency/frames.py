"""Brings a map from the frame of the model's image back to the original, through every recorded step."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from mammo_monai.errors import GeometryError
from mammo_monai.geometry import Crop, Flip, ImageFrame, Scale
from mammo_monai.transforms.sample import Sample, undo_step


def map_in_original(values: NDArray[np.float32], frame: ImageFrame) -> NDArray[np.float32]:
    """A map (h, w) in the frame now, as (height, width) of the original image.

    Scalings are undone bilinearly, mirrored maps turned back; what a crop left out is 0.

    Raises:
        GeometryError: the map has another size than the frame.

    >>> frame = ImageFrame(4, 2).then(Crop(2, 0, 2, 2)).then(Flip(2))
    >>> map_in_original(np.array([[1.0, 0.0], [0.0, 0.0]], dtype=np.float32), frame).tolist()
    [[0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 0.0]]
    """
    height, width = values.shape
    if frame.size != (width, height):
        raise GeometryError(
            f"the map has {width} × {height} px (width × height), "
            f"its frame {frame.size[0]} × {frame.size[1]}."
        )
    sample: Sample = {
        "image": torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))[None],
        "frame": frame,
    }
    while sample["frame"].steps:
        sample = undo_step(sample, (Crop, Flip, Scale))
    return np.asarray(sample["image"][0].numpy(), dtype=np.float32)
