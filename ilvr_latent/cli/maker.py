"""The model that the options name."""

from __future__ import annotations

from ..pictures.images import fit_to, read_image, to_tensor
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
    mask = None if options.mask is None else read_image(options.mask).convert("L")
    maker: PictureMaker
    if options.pipeline is None:
        maker = ADMPictures(options, device)
    else:
        # diffusers is heavy.
        from .pipeline_maker import PipelinePictures

        maker = PipelinePictures(options, device)
    if mask is not None:
        fitted = fit_to(mask.convert("RGB"), maker.size, options.fit)
        maker.mask = (to_tensor(fitted)[:, :1] + 1) / 2
    return maker
