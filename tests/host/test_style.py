"""ILVR Style in the host's samplers, alone and beside ILVR Apply."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

FORMS = ("eps", "v", "flow")
SAMPLERS = ("euler", "ddpm", "dpmpp_2m", "heun", "uni_pc", "euler_cfg_pp")


def styled(pack: ModuleType, model: Any, style: Tensor, **settings: Any) -> Any:
    settings = {
        "factor": 0.25,
        "weight": 1.0,
        "start_percent": 0.0,
        "end_percent": 1.0,
        "palette": True,
    } | settings
    return pack.nodes.guides.style.ILVRStyle.execute(model, {"samples": style}, **settings)[0]


def stripes() -> Tensor:
    """A style whose contrast is in the finest band, in two channels that go together."""
    style = torch.zeros(1, 4, 16, 16)
    style[:, :2, :, ::2] = 3.0
    style[:, 2, 8:] = 1.0
    return style


def away(pack: ModuleType, x: Tensor, style: Tensor) -> float:
    """Of the covariances of the bands that are style."""
    statistics = pack.ilvr_latent.guides.transport.colour_statistics
    bands = pack.ilvr_latent.guides.style.Bands(4.0)
    got, wanted = (statistics(torch.stack(bands(z)[:-1]).flatten(3)).covariance for z in (x, style))
    return float((got - wanted).abs().mean())


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_takes_the_style_over(pack: ModuleType, form: str, sampler: str) -> None:
    import mixture

    model, style = mixture.mixture(form), stripes()
    plain = mixture.sampled(model, sampler)
    out = mixture.sampled(styled(pack, model, style), sampler)
    assert away(pack, out, style) < 0.2 * away(pack, plain, style)
    assert torch.equal(mixture.sampled(styled(pack, model, style, weight=0.0), sampler), plain)


def test_the_layout_of_one_and_the_style_of_another(pack: ModuleType) -> None:
    import graph
    import mixture

    model, layout, style = mixture.mixture("eps"), mixture.draw(4) / 0.8, stripes()
    held = graph.applied(pack, model, layout, kernel="spectral", factor=4.0)
    out = mixture.sampled(styled(pack, held, style, palette=False))
    alone = mixture.sampled(held)
    assert away(pack, out, style) < 0.3 * away(pack, alone, style)
    phi = pack.ilvr_latent.LowPass(4, "spectral")
    assert (phi(out) - phi(layout)).abs().mean() < 0.1 * phi(layout).abs().mean()


@pytest.mark.parametrize("shape", [(3, 4, 16, 16), (1, 4, 3, 16, 16)])
def test_batches_and_videos(pack: ModuleType, shape: tuple[int, ...]) -> None:
    import mixture

    model = mixture.mixture("eps", shape)
    out = mixture.sampled(styled(pack, model, stripes()), shape=shape)
    assert out.shape == shape
    assert bool(out.isfinite().all())


def test_what_cannot_be_used_is_refused_before_sampling(pack: ModuleType) -> None:
    import mixture

    error, model, style = pack.ilvr_latent.InputError, mixture.mixture("eps"), stripes()
    for given, said in (
        ({"factor": 2.0}, "2 of the side"),
        ({"factor": 4.0, "factor_unit": "pixels"}, "less than a cell"),
        ({"start_percent": 0.5, "end_percent": 0.5}, "start_percent is 0.5"),
        ({"mask": torch.zeros(1, 8, 8)}, "black everywhere"),
        ({"moments": "skewness"}, "'skewness'"),
    ):
        with pytest.raises(error, match=said):
            styled(pack, model, style, **given)
    with pytest.raises(error, match=r"3 channels, .* samples 4"):
        styled(pack, model, style[:, :3])


def test_the_node_says_what_it_does(pack: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    import mixture

    lines: list[str] = []
    monkeypatch.setattr(pack.nodes.driver, "show", lambda node_id, text: lines.append(text))
    model = mixture.mixture("eps")
    mixture.sampled(styled(pack, model, stripes(), end_percent=0.5))
    mixture.sampled(styled(pack, model, stripes(), weight=0.0))
    assert lines == [
        "Takes colours and contrasts up to 4 cells in steps 1 to 10 of 20.",
        "Takes over no style.",
    ]
