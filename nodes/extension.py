"""The list of nodes."""

from __future__ import annotations

from comfy_api.latest import ComfyExtension, io

from .examples import install_examples
from .guides.classifier import ILVRClassifierGuidance
from .guides.clip import ILVRClipGuidance
from .guides.egsde import ILVREGSDE
from .guides.ilvr import ILVRApply
from .guides.picture_space import ILVRApplyInPictures
from .guides.resample import ILVRResample
from .guides.sddm import ILVRBlockStatistics
from .guides.similarity import ILVRSimilarity
from .guides.style import ILVRStyle
from .guides.tiles import ILVRApplyTiles
from .guides.universal import ILVRUniversalGuidance
from .guides.upscale import ILVRUpscale
from .models.adm import ILVRADMConditioning, ILVREmptyPixels, ILVRLoadADM
from .models.adm_sampling import ILVRADMSampler, ILVRADMSchedule
from .models.classifier import ILVRLoadClassifier
from .models.demo import ILVRLoadDemo
from .models.score_samplers import (
    ILVRColdSampler,
    ILVRPredictorCorrectorSampler,
    ILVRProbabilityFlowSampler,
)
from .tools.grid import ILVRGrid
from .tools.match import ILVRMatchPicture
from .tools.reference import ILVRLowPassPreview, ILVRReferenceEncode
from .tools.report import ILVRRecord, ILVRReport


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
            ILVRBlockStatistics,
            ILVREGSDE,
            ILVRPredictorCorrectorSampler,
            ILVRProbabilityFlowSampler,
            ILVRColdSampler,
            ILVRLoadClassifier,
            ILVRClassifierGuidance,
            ILVRUniversalGuidance,
            ILVRClipGuidance,
            ILVRMatchPicture,
            ILVRApplyInPictures,
            ILVRSimilarity,
            ILVRStyle,
            ILVRUpscale,
            ILVRApplyTiles,
        ]
