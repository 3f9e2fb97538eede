"""The list of nodes."""

from __future__ import annotations

from comfy_api.latest import ComfyExtension, io

from .adm import ILVRADMConditioning, ILVREmptyPixels, ILVRLoadADM
from .adm_sampling import ILVRADMSampler, ILVRADMSchedule
from .apply import ILVRApply
from .demo import ILVRLoadDemo
from .examples import install_examples
from .grid import ILVRGrid
from .reference import ILVRLowPassPreview, ILVRReferenceEncode
from .report import ILVRRecord, ILVRReport
from .resample import ILVRResample


class ILVRExtension(ComfyExtension):
    """The nodes of this pack, as ComfyUI asks for them."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        """The node classes, in the order of the menu."""
        # Here and not in on_load, which older versions of ComfyUI do not call.
        install_examples()
        return [
            ILVRApply,
            ILVRReferenceEncode,
            ILVRLowPassPreview,
            ILVRGrid,
            ILVRRecord,
            ILVRReport,
            ILVRLoadDemo,
            ILVRLoadADM,
            ILVRADMConditioning,
            ILVREmptyPixels,
            ILVRADMSampler,
            ILVRADMSchedule,
            ILVRResample,
        ]
