"""OpenAI guided-diffusion ("ADM") checkpoints as PyTorch networks.

Prafulla Dhariwal and Alex Nichol, "Diffusion Models Beat GANs on Image Synthesis",
arXiv 2105.05233.

- ``config.py``  what a checkpoint is: guided-diffusion's own flags, under their own names
- ``detect.py``  what keys and shapes tell about it
- ``known.py``   the published checkpoints, known by their shapes
- ``flags.py``   what the user says: guided-diffusion's flags, held against the file
- ``layers.py``, ``unet.py``: the network, its modules named as in guided-diffusion
- ``weights.py`` weights on disk, read without ever running code from the file
- ``cache.py``   pickled checkpoints kept as safetensors
- ``load.py``    a file on disk to a network and back
- ``classifier.py``, ``classifier_network.py``: the classifiers that guide it
- ``perturbed.py`` guides the network away from itself without attention: cleaner objects
- ``patches.py`` takes the grid of the patch out of what it gives
- ``authors.py``: conventions of the ILVR authors' own code
"""

from .classifier import adm_classifier, load_adm_classifier
from .classifier_network import ADMClassifier, ClassifierConfig
from .config import ADMConfig
from .load import Inspection, inspect_checkpoint, load_adm, save_adm
from .perturbed import with_perturbed_attention

__all__ = [
    "ADMClassifier",
    "ADMConfig",
    "ClassifierConfig",
    "Inspection",
    "adm_classifier",
    "inspect_checkpoint",
    "load_adm",
    "load_adm_classifier",
    "save_adm",
    "with_perturbed_attention",
]
