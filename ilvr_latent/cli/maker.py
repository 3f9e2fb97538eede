"""The model that the options name."""

from __future__ import annotations

from PIL import Image
from torch import Tensor

from ..pictures.images import Fit, fit_to, read_image, to_tensor
from .checkpoint_maker import ADMPictures
from .common import choose_device
from .making import PictureMaker
from .settings import Settings


def load_maker(options: Settings) -> PictureMaker:
    """The model that the options name, loaded.

    Raises:
        InputError: it cannot be loaded, or the mask cannot be read.
    """
    device = choose_device(options.device)
    mask = None if options.mask is None else read_image(options.mask)
    maker: PictureMaker
    if options.pipeline is None:
        maker = ADMPictures(options, device)
    else:
        # diffusers is heavy.
        from .pipeline_maker import PipelinePictures

        maker = PipelinePictures(options, device)
    if mask is not None:
        maker.mask = fitted_mask(mask, maker.size, options.fit)
    return maker


def fitted_mask(mask: Image.Image, size: tuple[int, int], fit: Fit) -> Tensor:
    """A picture as :attr:`.making.PictureMaker.mask`: where it is white, references are matched."""
    return (to_tensor(fit_to(mask.convert("L").convert("RGB"), size, fit))[:, :1] + 1) / 2
