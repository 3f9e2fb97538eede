"""``make bench``: the loops that ours is beside run, and a line of its table is Markdown."""

from __future__ import annotations

import dataclasses

import torch

from benchmarks import peers
from benchmarks.networks import CONFIG_64, random_network
from benchmarks.steps import HEAD, Row, Stage, pictures
from ilvr_latent import LowPass, Reference
from ilvr_latent.pipelines import ILVRCallback

SMALL = dataclasses.replace(CONFIG_64, image_size=16)


def test_diffusers_loop_takes_our_network_and_our_callback() -> None:
    pipe, y_0 = peers.pipeline(random_network(SMALL)), pictures(2, 16)

    def made() -> torch.Tensor:
        drawn = torch.Generator().manual_seed(0)
        images = pipe(2, generator=drawn, num_inference_steps=3, output_type="pt").images
        assert isinstance(images, torch.Tensor)
        return images

    plain = made()
    with ILVRCallback(pipe, Reference(y_0, 4, kernel="box")):
        guided = made()
    phi, wanted = LowPass(4, "box"), (y_0 + 1) / 2
    assert (phi(guided) - phi(wanted)).abs().mean() < (phi(plain) - phi(wanted)).abs().mean() / 2


def test_a_stage_calls_the_network_as_often_as_its_run() -> None:
    stage = Stage(SMALL, batch=2, steps=3, pairs=1)
    calls: list[int] = []
    stage.model.register_forward_hook(lambda module, given, out: calls.append(len(given[0])))
    stage.bare()
    stage.ours([Reference(stage.y_0, 4)])()
    assert calls == [2] * 6
    assert stage.size == "16x16, batch 2"


def test_a_line_has_the_columns_of_the_head() -> None:
    lines = [Row("x", "y", 0.1, 1.5).line(), Row("x", "y", 0.1, 1.5, 0.002).line()]
    assert lines == ["| x | y | 100.0 | 1.500 |  |", "| x | y | 100.0 | 1.500 | 2.00 |"]
    assert {line.count("|") for line in (*HEAD.splitlines(), *lines)} == {6}
