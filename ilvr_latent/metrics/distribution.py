"""FID (arXiv 1706.08500) and KID (arXiv 1801.01401) between two sets of feature vectors.

    KID = mean k(x_i, x_j), i != j  +  mean k(y_i, y_j), i != j  -  2 mean k(x_i, y_j)
    k(x, y) = (x . y / d + 1)^3            d   numbers of a feature vector

torchmetrics computes both where pictures are many. It is handed features in place of pictures, so
that they are computed once, those of a domain can be stored, and neither torch-fidelity nor
torchvision is needed.
"""

from __future__ import annotations

import importlib.util
import warnings
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..errors import InputError

# Up to so many pictures of either kind, every pair counts; of more, random subsets are compared.
MOST_FOR_ALL_PAIRS = 5000
KID_SUBSETS, KID_SUBSET = 100, 1000


class _Features(nn.Identity):
    """What torchmetrics takes for a feature network: its input is features already."""

    def __init__(self, dimensions: int) -> None:
        super().__init__()
        self.num_features = dimensions


@dataclass(frozen=True)
class Distances:
    """How far samples are from a domain.

    Attributes:
        fid: too high by about 1 / pictures, so compare it at equal numbers only.
        kid: unbiased; may be slightly negative where there is no difference.
        pictures: how many samples there were.
    """

    fid: float
    kid: float
    pictures: int


def require_torchmetrics() -> None:
    """Make sure that it is there, before long work.

    Raises:
        InputError: it is not.
    """
    if importlib.util.find_spec("torchmetrics") is None:
        raise InputError(
            "FID and KID are computed by torchmetrics, which is not installed; "
            "run: pip install 'torchmetrics>=1.4'."
        )


def distances(features: Tensor, domain: Tensor, *, seed: int = 0) -> Distances:
    """FID and KID of samples.

    Args:
        features: (n, d) of the samples.
        domain: (m, d) of pictures of the domain.
        seed: of KID's random subsets, where there are more than 5000 pictures of either; the global
            random state is left as it was.

    Raises:
        InputError: there are fewer than two of either, or torchmetrics is missing.
    """
    require_torchmetrics()
    if min(len(features), len(domain)) < 2:
        raise InputError(
            f"There are {len(features)} samples and {len(domain)} pictures of the domain; "
            "FID and KID need two or more of each."
        )
    return Distances(_fid(features, domain), _kid(features, domain, seed), len(features))


def _fid(features: Tensor, domain: Tensor) -> float:
    if min(len(features), len(domain)) < features.shape[1]:
        return _fid_of_few(features.double(), domain.double())
    from torchmetrics.image.fid import FrechetInceptionDistance

    metric = FrechetInceptionDistance(feature=_Features(domain.shape[1]), sync_on_compute=False)
    metric.update(domain.double(), real=True)
    metric.update(features.double(), real=False)
    return float(metric.compute())


def _fid_of_few(x: Tensor, y: Tensor) -> float:
    """The same, where there are fewer pictures than features, in far less time.

    With A and B the centred features over the roots of n - 1 and m - 1, the trace of the root of
    A^T A B^T B is the sum of the singular values of A B^T.
    """
    a, b = ((z - z.mean(0)) / (len(z) - 1) ** 0.5 for z in (x, y))
    means = (x.mean(0) - y.mean(0)).square().sum()
    return float(
        means + a.square().sum() + b.square().sum() - 2 * torch.linalg.svdvals(a @ b.T).sum()
    )


def _kid(features: Tensor, domain: Tensor, seed: int) -> float:
    if max(len(features), len(domain)) <= MOST_FOR_ALL_PAIRS:
        return _kid_of_all_pairs(features.double(), domain.double())
    return _kid_of_subsets(features, domain, seed)


def _kid_of_all_pairs(x: Tensor, y: Tensor) -> float:
    """The unbiased estimate with the least variance, for any two numbers of pictures."""
    within = sum(_mean_of_pairs(_kernel(z, z)) for z in (x, y))
    return float(within - 2 * _kernel(x, y).mean())


def _kernel(x: Tensor, y: Tensor) -> Tensor:
    return (x @ y.T / x.shape[1] + 1) ** 3


def _mean_of_pairs(k: Tensor) -> Tensor:
    """Of two different ones."""
    n = len(k)
    return (k.sum() - k.trace()) / (n * (n - 1))


def _kid_of_subsets(features: Tensor, domain: Tensor, seed: int) -> float:
    from torchmetrics.image.kid import KernelInceptionDistance

    with warnings.catch_warnings():
        # It warns that it keeps features, which is what they are given to it for.
        warnings.simplefilter("ignore", UserWarning)
        metric = KernelInceptionDistance(
            feature=_Features(domain.shape[1]),
            subsets=KID_SUBSETS,
            subset_size=min(len(features), len(domain), KID_SUBSET),
            sync_on_compute=False,
        )
    metric.update(domain.double(), real=True)
    metric.update(features.double(), real=False)
    # torchmetrics draws its subsets from the global generator.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        mean, _ = metric.compute()
    return float(mean)
