"""The files for clusters in docs/cluster: they parse, and say what the command takes."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ilvr_latent.cli.main import build_parser

yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
FOLDER = Path(__file__).parents[2] / "docs/cluster"


def read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((FOLDER / name).read_text())
    return found


def options_of(command: str) -> dict[str, Any]:
    program, *arguments = shlex.split(command)
    assert program == "ilvr"
    return vars(build_parser("translate").parse_args(arguments))


def test_the_job_of_kubernetes_translates_what_its_pods_see() -> None:
    job = read("rayjob.yaml")
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    spec = job["spec"]
    options = options_of(spec["entrypoint"])
    assert options["address"] == "auto"
    assert spec["backoffLimit"] > 0
    cluster = spec["rayClusterSpec"]
    templates = [
        group["template"]["spec"]
        for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"])
    ]
    (container,) = templates[0]["containers"]
    for template in templates:
        (one,) = template["containers"]
        assert one["image"] == container["image"]
        assert one["resources"]["limits"] == one["resources"]["requests"]
        (mount,) = one["volumeMounts"]
        assert mount["name"] in {volume["name"] for volume in template["volumes"]}
        for path in (options["source"], options["output"]):
            assert Path(path).is_relative_to(mount["mountPath"])
    gpus = [t["containers"][0]["resources"]["limits"].get("nvidia.com/gpu", 0) for t in templates]
    assert gpus == [0, 1]
    assert 0 < options["gpus_per_worker"] <= 1
    assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"


def test_the_cluster_of_machines_is_one_that_ray_takes() -> None:
    # As `ray up` does.
    private = pytest.importorskip("ray.autoscaler._private.util", reason="ray is not installed")
    cluster = read("ray-cluster.yaml")
    private.validate_config(private.prepare_config(cluster))
    assert len(cluster["provider"]["worker_ips"]) == cluster["max_workers"]
    comment = "".join(
        line.removeprefix("#").rstrip("\\\n")
        for line in (FOLDER / "ray-cluster.yaml").open()
        if line.startswith("#")
    )
    command = re.search(r"'(ilvr translate [^']*)'", comment)
    assert command is not None
    assert options_of(command[1])["address"] == "auto"


def test_the_script_of_three_nodes_is_one() -> None:
    script = FOLDER / "three-nodes.sh"
    subprocess.run(["bash", "-n", script], check=True)
    assert script.stat().st_mode & 0o100
