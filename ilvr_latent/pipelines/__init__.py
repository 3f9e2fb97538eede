"""ILVR in diffusers pipelines (arXiv 2108.02938); see ``docs/diffusers.md``.

>>> from ilvr_latent import Reference, Window
>>> from ilvr_latent.pipelines import ILVRCallback, encode_reference
>>> reference = Reference(encode_reference(pipe, image), factor=4, window=Window(0, 0.8))
>>> pipe(prompt, callback_on_step_end=ILVRCallback(pipe, reference))
"""

from .callback import GuideCallback, ILVRCallback
from .encode import default_size, encode_reference

__all__ = ["GuideCallback", "ILVRCallback", "default_size", "encode_reference"]
