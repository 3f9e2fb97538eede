"""Tile samplers of both kinds, and windows around the network: every tile follows its own part."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

SIDE, TILE, FACTOR = 32, 16, 4
SHAPE = (1, 4, SIDE, SIDE)
CORNERS = [(top, left) for top in (0, SIDE - TILE) for left in (0, SIDE - TILE)]


def picture(seed: int = 0, side: int = SIDE) -> Tensor:
    """A latent as a VAE gives it, with much to follow in it."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(1, 4, side // 4, side // 4, generator=generator)
    return torch.nn.functional.interpolate(coarse, (side, side), mode="bicubic")


def apart(pack: ModuleType, made: Tensor, reference: Tensor) -> float:
    """The relative distance of the low frequencies."""
    phi = pack.ilvr_latent.LowPass(FACTOR)
    return float((phi(made) - phi(reference)).norm() / phi(reference).norm())


def crop_by_crop(model: Any, latent: Tensor, denoise: float = 0.8) -> Tensor:
    """A node that runs a sampler for each crop, as Ultimate SD Upscale does."""
    import mixture

    made = latent.clone()
    for top, left in CORNERS:
        at = (..., slice(top, top + TILE), slice(left, left + TILE))
        made[at] = mixture.sampled(model, latent=made[at].clone(), denoise=denoise)
    return made


def windows_inside(model: Any) -> Any:
    """A MODEL as packs of tiled diffusion make it: a sampler of the whole, a network of windows."""

    def unet(apply: Any, args: dict[str, Any]) -> Tensor:
        x, made = args["input"], torch.zeros_like(args["input"])
        for top, left in CORNERS:
            at = (..., slice(top, top + TILE), slice(left, left + TILE))
            made[at] = apply(x[at], args["timestep"], **args["c"])
        return made

    clone = model.clone()
    clone.set_model_unet_function_wrapper(unet)
    return clone


def mixture_of_tiles(form: str = "eps") -> Any:
    """A MODEL that knows pictures of the size of a tile alone."""
    import mixture

    return mixture.mixture(form, (1, 4, TILE, TILE))


def held_to_tiles(pack: ModuleType, model: Any, **given: Any) -> Any:
    usual = {"factor": float(FACTOR), "start_percent": 0.0, "end_percent": 1.0, "weight": 1.0,
             "end_weight": 1.0}  # fmt: skip
    return pack.nodes.guides.tiles.ILVRApplyTiles.execute(model, **{**usual, **given})[0]


@pytest.mark.parametrize("form", ["eps", "v", "flow"])
def test_each_crop_follows_what_it_begins_with(pack: ModuleType, form: str) -> None:
    whole, model = picture(), mixture_of_tiles(form)
    plain = crop_by_crop(model, whole)
    made = crop_by_crop(held_to_tiles(pack, model), whole)
    assert apart(pack, made, whole) < apart(pack, plain, whole) / 5


def test_where_ilvr_apply_shows_every_crop_the_whole(pack: ModuleType) -> None:
    import graph

    whole, model = picture(), mixture_of_tiles()
    as_it_was = crop_by_crop(graph.applied(pack, model, whole), whole)
    made = crop_by_crop(held_to_tiles(pack, model, picture={"samples": whole}), whole)
    assert apart(pack, made, whole) < 0.1
    assert apart(pack, as_it_was, whole) > 0.5


@pytest.mark.parametrize("size", [SIDE, 48])
def test_another_reference_is_cut_where_the_tile_lies(pack: ModuleType, size: int) -> None:
    whole, other = picture(0), picture(3, size)
    laid_over = pack.nodes.fitting.fit_latent(other, SHAPE)
    held = held_to_tiles(
        pack, mixture_of_tiles(), picture={"samples": whole}, reference={"samples": other}
    )
    import mixture

    for top, left in CORNERS:
        at = (..., slice(top, top + TILE), slice(left, left + TILE))
        made = mixture.sampled(held, latent=whole[at].clone(), denoise=0.9)
        assert apart(pack, made, laid_over[at]) < 0.1


def test_windows_inside_a_sampler_of_the_whole_need_no_other_node(pack: ModuleType) -> None:
    import graph
    import mixture

    whole = picture()
    for space in ("state", "prediction"):
        model = windows_inside(mixture_of_tiles())
        held = graph.applied(pack, model, whole, space=space)
        made = mixture.sampled(held, latent=whole.clone(), denoise=0.8)
        assert apart(pack, made, whole) < 0.1


def test_tiles_that_cannot_be_placed_are_refused(pack: ModuleType) -> None:
    import mixture

    error, model = pack.ilvr_latent.InputError, mixture_of_tiles()
    tile = picture()[..., :TILE, :TILE].clone()
    for given, latent, said in (
        ({}, torch.zeros_like(tile), "empty latent"),
        ({"picture": {"samples": picture(5)}}, tile, "not found in the picture"),
        ({"picture": {"samples": tile[..., :8]}}, tile, "no part of a picture"),
    ):
        with pytest.raises(error, match=said):
            mixture.sampled(held_to_tiles(pack, model, **given), latent=latent, denoise=0.9)
    for given, said in (
        ({"reference": {"samples": picture()}}, "none is plugged in"),
        ({"start_percent": 1.0}, "no step"),
        ({"picture": {"samples": picture()[:, :3]}}, "channels"),
    ):
        with pytest.raises(error, match=said):
            held_to_tiles(pack, model, **given)


def test_tiles_in_one_batch_follow_a_part_each(pack: ModuleType) -> None:
    import mixture

    whole = picture()
    tiles = [whole[..., top : top + TILE, left : left + TILE] for top, left in CORNERS[1:3]]
    held = held_to_tiles(pack, mixture_of_tiles(), picture={"samples": whole})
    made = mixture.sampled(held, latent=torch.cat(tiles), denoise=0.9)
    assert max(apart(pack, *pair) for pair in zip(made.split(1), tiles, strict=True)) < 0.1


def test_a_weight_of_0_leaves_tiles_alone(pack: ModuleType) -> None:
    whole, model = picture(), mixture_of_tiles()
    off = held_to_tiles(pack, model, weight=0.0, end_weight=0.0)
    assert torch.equal(crop_by_crop(off, whole), crop_by_crop(model, whole))


class Pixels:
    """A VAE of nothing, four channels."""

    def encode(self, image: Tensor) -> Tensor:
        rgb = image.movedim(-1, 1) * 2 - 1
        return torch.cat([rgb, rgb[:, :1]], 1)


def upscaling(pack: ModuleType, model: Any, image: Tensor, **given: Any) -> Any:
    model.model.latent_format.spacial_downscale_ratio = 1
    usual = {"scale": 2.0, "factor": 2.0, "end_percent": 1.0, "weight": 1.0, "end_weight": 0.0}
    node = pack.nodes.guides.upscale.ILVRUpscale
    return node.execute(model, Pixels(), image, **{**usual, **given}).args


def small() -> Tensor:
    """An IMAGE of a tile's size."""
    rgb = picture(2, TILE)[:, :3].movedim(1, -1)
    return (rgb / 6 + 0.5).clamp(0, 1)


@pytest.mark.parametrize("form", ["eps", "v", "flow"])
@pytest.mark.parametrize("sampler", ["euler", "dpmpp_2m", "euler_ancestral"])
def test_the_network_sees_windows_and_the_whole_follows_the_small_picture(
    pack: ModuleType, form: str, sampler: str
) -> None:
    import mixture

    model = mixture_of_tiles(form)
    patched, latent = upscaling(pack, model, small(), end_weight=1.0)
    assert latent["samples"].shape == SHAPE
    # The network has pictures of a tile's size alone, so it fails on any other.
    made = mixture.sampled(patched, sampler, latent=latent["samples"].clone(), denoise=0.8)
    free, _ = upscaling(pack, model, small(), weight=0.0)
    unheld = mixture.sampled(free, sampler, latent=latent["samples"].clone(), denoise=0.8)
    wanted = latent["samples"]
    assert apart(pack, made, wanted) < apart(pack, unheld, wanted) / 10


def test_as_many_calls_as_windows_and_at_the_own_size_all_is_as_without(pack: ModuleType) -> None:
    import mixture

    model = mixture_of_tiles()
    patched, latent = upscaling(pack, model, small(), weight=0.0)
    mixture.sampled(patched, latent=latent["samples"].clone(), steps=4)
    assert len(model.model.calls) == 4 * 9
    at_1, latent = upscaling(pack, model, small(), scale=1.0, weight=0.0)
    runs = [
        mixture.sampled(m, latent=latent["samples"].clone(), denoise=0.7) for m in (at_1, model)
    ]
    assert torch.equal(*runs)


def test_what_is_laid_over_the_picture_is_cut_with_it(pack: ModuleType) -> None:
    """A noise mask's picture, a ControlNet's maps of half the size, and what has no place."""
    tiles = pack.nodes.tiles
    x, half = torch.randn(2, 4, 32, 32), torch.randn(2, 8, 16, 16)
    seen: list[tuple[Tensor, ...]] = []

    def network(x: Tensor, t: Tensor, c_concat: Any, text: Any, control: Any, options: Any,
                **kwargs: Any) -> Tensor:  # fmt: skip
        assert kwargs["vector"].shape == (2, 32)
        assert control["middle"] is None or control["middle"][0] is None
        seen.append((x, c_concat, control["output"][0], kwargs["mask"]))
        return x

    window = tiles._Windows(pack.ilvr_latent.Tiles(16, 16, 0.5))
    control = {"output": [half], "middle": [None]}
    out = window(
        network, x, torch.ones(2), x[:, :1], None, control, {}, mask=x[:, 1:2],
        vector=torch.zeros(2, 32),
    )  # fmt: skip
    assert torch.allclose(out, x, atol=1e-5)
    assert len(seen) == 9
    for (rows, columns), (part, concat, map_, mask) in zip(
        window.tiles.places(x.shape), seen, strict=True
    ):
        assert torch.equal(part, x[..., rows, columns])
        assert torch.equal(concat, part[:, :1])
        assert torch.equal(mask, part[:, 1:2])
        at = slice(rows.start // 2, rows.stop // 2), slice(columns.start // 2, columns.stop // 2)
        assert torch.equal(map_, half[..., at[0], at[1]])


def test_what_has_no_places_is_refused(pack: ModuleType) -> None:
    window, error = (
        pack.nodes.tiles._Windows(pack.ilvr_latent.Tiles(8, 8)),
        pack.ilvr_latent.InputError,
    )
    with pytest.raises(error, match="one part"):
        window(None, torch.zeros(1, 1, 100), torch.ones(1))
    rows = {"output": [torch.zeros(1, 256, 8)]}
    with pytest.raises(error, match="rows of tokens"):
        window(None, torch.zeros(1, 4, 16, 16), torch.ones(1), None, None, rows)
    with pytest.raises(error, match="16x4"):
        model = mixture_of_tiles()
        model.model.latent_format.spacial_downscale_ratio = 8
        pack.nodes.guides.upscale.ILVRUpscale.execute(
            model, Pixels(), torch.zeros(1, 4, 16, 3), 2.0, 1.0, 1.0, 1.0, 0.0
        )


def test_an_adm_model_hands_over_its_variance_of_the_whole(pack: ModuleType) -> None:
    adm = pack.nodes.models.adm
    model, vae = adm.ILVRLoadADM.execute(adm.EMBEDDED).args
    image = torch.rand(1, 64, 64, 3, generator=torch.Generator().manual_seed(0))
    patched, latent = pack.nodes.guides.upscale.ILVRUpscale.execute(
        model, vae, image, 1.5, 1.0, 1.0, 1.0, 0.0
    ).args
    options = pack.nodes.models.adm_model.ADMOptions()
    windows = patched.get_wrappers(pack.nodes.tiles.APPLY_MODEL, pack.nodes.tiles.KEY)[0]
    given = {pack.nodes.models.adm_model.OPTIONS: options}
    x_0 = windows(
        lambda x, t, c, text, control, options: model.model.apply_model(
            x, t, c, text, control, options
        ),
        latent["samples"], torch.tensor([1.0]), None, None, None, given,
    )  # fmt: skip
    assert x_0.shape == (1, 3, 96, 96)
    learns = model.model.config.learn_sigma
    assert (options.learned is not None) == learns
    if options.learned is not None:
        assert options.learned.shape == (1, 3, 96, 96)
