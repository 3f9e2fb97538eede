"""A data set at a time, on Ray Data: see docs/scale.md.

>>> import ray
>>> from ilvr_latent.scale import translate
>>> made = translate(ray.data.read_images("drawings", include_paths=True), recipe="translate")
>>> made.write_parquet("translated")
"""

from .dataset import translate

__all__ = ["translate"]
