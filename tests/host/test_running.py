"""While it runs: previews, Cancel, and what a step asks of the device."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor


def ksampler(model: Any, latent: Tensor, cond: Any, steps: int = 8, **options: Any) -> Tensor:
    """The node KSampler, with its own callback."""
    import nodes

    settings = {"seed": 3, "cfg": 1.0, "sampler_name": "euler", "scheduler": "normal"} | options
    node = nodes.KSampler()
    return node.sample(
        model, steps=steps, positive=cond, negative=cond, latent_image={"samples": latent},
        **settings,
    )[0]["samples"]  # fmt: skip


@pytest.fixture
def progress(host: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, Any]]:
    """What the server's websocket would send: (step, preview); stops where Cancel was pressed."""
    import comfy.cli_args
    import comfy.model_management
    import comfy.utils

    sent = []

    def hook(value: int, total: int, preview: Any, **_: object) -> None:
        comfy.model_management.throw_exception_if_processing_interrupted()
        sent.append((value, preview))

    monkeypatch.setattr(comfy.utils, "PROGRESS_BAR_HOOK", hook)
    method = comfy.cli_args.LatentPreviewMethod.Auto
    monkeypatch.setattr(comfy.cli_args.args, "preview_method", method)
    return sent


@pytest.fixture
def adm(pack: ModuleType) -> Any:
    return pack.nodes.models.adm.ILVRLoadADM.execute(pack.nodes.models.adm.EMBEDDED)[0]


def test_pixel_models_show_a_preview_at_every_step(
    pack: ModuleType, adm: Any, progress: list[tuple[int, Any]]
) -> None:
    """And what it shows comes to be the picture, which follows the reference."""
    import graph
    import numpy as np

    reference = torch.zeros(1, 3, 64, 64)
    reference[:, 0, :, :32] = 1
    reference[:, 1:, :, 32:] = -1
    cond = pack.nodes.models.adm.ILVRADMConditioning.execute(-1)[0]
    guided = graph.applied(pack, adm, reference, kernel="box")
    out = ksampler(guided, torch.zeros(1, 3, 64, 64), cond)
    assert [step for step, _ in progress] == list(range(1, 9))
    shown = []
    for _, preview in progress:
        name, image, _ = preview
        assert name == "JPEG"
        assert image.size == (64, 64)
        shown.append(torch.from_numpy(np.array(image)).movedim(-1, 0) / 127.5 - 1)
    # The last one is the network's word, before the match of the finished picture.
    low = pack.ilvr_latent.LowPass(8, "box")
    errors = [float((low(x) - low(out[0])).abs().mean()) for x in shown]
    assert errors[-1] < 0.05
    assert errors[-1] < errors[0]


def test_latent_models_show_a_preview_at_every_step(
    pack: ModuleType, progress: list[tuple[int, Any]]
) -> None:
    import graph
    import mixture

    # The mixture's own latent format has no colours.
    model = mixture.mixture("eps")
    model.model.latent_format.latent_rgb_factors = torch.eye(4, 3).tolist()
    guided = graph.applied(pack, model, mixture.draw(4))
    ksampler(guided, torch.zeros(mixture.SHAPE), mixture.conditioning())
    assert [step for step, _ in progress] == list(range(1, 9))
    assert all(preview[1].size == (16, 16) for _, preview in progress)


@pytest.mark.parametrize("sampler", ["euler", "dpmpp_2m", "uni_pc", "ddpm"])
def test_cancel_stops_within_a_step_and_leaves_the_model_clean(
    pack: ModuleType, progress: list[tuple[int, Any]], sampler: str, monkeypatch: Any
) -> None:
    """Cancel is pressed while the network is busy with its fifth call."""
    import comfy.model_management
    import graph
    import mixture

    model = mixture.mixture("eps")
    guided = graph.applied(pack, model, mixture.draw(4))
    latent, cond = torch.zeros(mixture.SHAPE), mixture.conditioning()
    plain, before = (ksampler(m, latent, cond, 20, sampler_name=sampler) for m in (model, guided))
    options = set(guided.model_options), set(guided.model_options["transformer_options"])
    del model.model.calls[:], progress[:]
    network = model.model._apply_model

    def cancelled(*args: Any, **kwargs: Any) -> Tensor:
        if len(model.model.calls) == 4:
            comfy.model_management.interrupt_current_processing()
        return network(*args, **kwargs)

    monkeypatch.setattr(model.model, "_apply_model", cancelled)
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        ksampler(guided, latent, cond, 20, sampler_name=sampler)
    monkeypatch.undo()
    assert len(model.model.calls) <= 6
    assert len(progress) <= 5
    assert not comfy.model_management.processing_interrupted()
    assert options == (set(guided.model_options), set(guided.model_options["transformer_options"]))
    for m, wanted in ((guided, before), (model, plain)):
        assert torch.equal(ksampler(m, latent, cond, 20, sampler_name=sampler), wanted)


def test_a_step_reads_one_number_and_stays_on_the_device(
    pack: ModuleType,
) -> None:
    """On a device without data nothing can leave: torch refuses copies and mixed devices."""
    import graph
    import mixture
    from reads import Reads

    class Noise:
        """Torch has no generator for that device."""

        def reference(self, i: int, shape: torch.Size) -> Tensor:
            return torch.empty(shape, device=meta)

    host, meta = pack.nodes.driver, torch.device("meta")
    model = mixture.mixture("eps")
    for space in ("state", "prediction"):
        mask = torch.ones(1, 16, 16)
        model = graph.applied(pack, model, mixture.draw(4), space=space, mask=mask)
    (wrapper,) = model.get_wrappers(host.SAMPLER_SAMPLE, host.KEY)
    run = host.HostRun(
        pack.nodes.levels.HostSchedule(
            torch.tensor([10.0, 5.0, 1.0, 0.0]), model.model.model_sampling
        ),
        shape=torch.Size(mixture.SHAPE), device=meta, noise=Noise(), may_be_a_stage=True,
        inpainting_area=torch.ones(1, 1, 16, 16, device=meta), model=model.model,
    )  # fmt: skip
    x = torch.empty(mixture.SHAPE, device=meta)
    with Reads() as reads:
        guidance = wrapper.guide.begin(run)
        once = reads.count
        for sigma in run.schedule.sigmas[:-1]:
            step = run.schedule.step(torch.full((1,), sigma, device=meta))
            outs = guidance.state(x, step), guidance.prediction(x, x, step), guidance.end(x)
            assert all(out.device == meta and out is not x for out in outs)
    assert reads.count - once == 3
