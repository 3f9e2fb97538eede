"""Where the nodes, groups and wires of a workflow lie: from its file, as the front end draws it."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

# Of LiteGraph: heights of a title and of a slot, and how far a wire goes straight on.
TITLE, SLOT, STRAIGHT, AT_REROUTE = 30, 20, 0.25, 80
# Points of a wire between two of its reroutes.
POINTS = 24

Point = tuple[float, float]


class Box(NamedTuple):
    """A rectangle: left, top, right, bottom."""

    left: float
    top: float
    right: float
    bottom: float

    def holds(self, other: Box) -> bool:
        """The other lies inside."""
        return (
            self.left <= other.left
            and self.top <= other.top
            and self.right >= other.right
            and self.bottom >= other.bottom
        )

    def meets(self, other: Box, margin: float = 0) -> bool:
        """They overlap, or are nearer than ``margin``."""
        return (
            self.left < other.right + margin
            and other.left < self.right + margin
            and self.top < other.bottom + margin
            and other.top < self.bottom + margin
        )


@dataclass(frozen=True)
class Wire:
    """A link as it is drawn.

    Attributes:
        name: what it connects, for people.
        source: node and slot that it comes from.
        target: the node that it goes to.
        points: along it.
    """

    name: str
    source: tuple[int, int]
    target: int
    points: list[Point]


def boxes(workflow: dict[str, Any]) -> dict[int, Box]:
    """Of every node, with its title."""
    return {node["id"]: _node_box(node) for node in workflow["nodes"]}


def group_boxes(workflow: dict[str, Any]) -> dict[str, Box]:
    """Of every group."""
    found = {}
    for group in workflow["groups"]:
        x, y, width, height = group["bounding"]
        found[group["title"]] = Box(x, y, x + width, y + height)
    return found


def _node_box(node: dict[str, Any]) -> Box:
    (x, y), (width, height) = node["pos"], node["size"]
    return Box(x, y - TITLE, x + width, y + height)


def wires(workflow: dict[str, Any]) -> list[Wire]:
    """Every link, along its reroutes."""
    nodes = {node["id"]: node for node in workflow["nodes"]}
    reroutes = {reroute["id"]: reroute for reroute in workflow["extra"].get("reroutes", [])}
    last = {each["id"]: each["parentId"] for each in workflow["extra"].get("linkExtensions", [])}
    corners: dict[int, list[Point]] = {}
    for link, source, slot, target, place, _ in workflow["links"]:
        path, at = [input_(nodes[target], place)], last.get(link)
        while at is not None:
            path.append(tuple(reroutes[at]["pos"]))
            at = reroutes[at].get("parentId")
        corners[link] = [*path, output(nodes[source], slot)][::-1]
    directions = _directions(corners.values())
    return [
        Wire(
            f"{nodes[source]['type']} to {nodes[target]['type']}.{_sockets(nodes[target])[place]}",
            (source, slot),
            target,
            [*_spline(corners[link], directions)],
        )
        for link, source, slot, target, place, _ in workflow["links"]
    ]


def _sockets(node: dict[str, Any]) -> dict[int, str]:
    """Place and name of the inputs that are not widgets."""
    return {i: x["name"] for i, x in enumerate(node["inputs"]) if "widget" not in x}


def input_(node: dict[str, Any], place: int) -> Point:
    """Where a wire ends."""
    row = list(_sockets(node)).index(place)
    return node["pos"][0], node["pos"][1] + (row + 0.7) * SLOT


def output(node: dict[str, Any], slot: int) -> Point:
    """Where a wire begins."""
    return node["pos"][0] + node["size"][0], node["pos"][1] + (slot + 0.7) * SLOT


def _directions(paths: Any) -> dict[Point, float]:
    """At a reroute a wire goes half-way between where it comes from and, on average, goes to."""
    onward: dict[tuple[Point, Point], list[float]] = defaultdict(list)
    for path in paths:
        for before, at, after in zip(path, path[1:], path[2:], strict=False):
            onward[before, at].append(math.atan2(after[1] - at[1], after[0] - at[0]))
    found = {}
    for (before, at), angles in onward.items():
        come = math.atan2(at[1] - before[1], at[0] - before[0])
        half = (come - sum(angles) / len(angles)) / 2
        found[at] = come - (half + math.pi if abs(half) > math.pi / 2 else half)
    return found


def _spline(path: list[Point], directions: dict[Point, float]) -> Iterator[Point]:
    for number, (a, b) in enumerate(itertools.pairwise(path)):
        distance = math.dist(a, b) * STRAIGHT
        bend = min(distance, AT_REROUTE)
        start, end = (distance, 0.0), (-distance, 0.0)
        if number > 0:
            start = (bend * math.cos(directions[a]), bend * math.sin(directions[a]))
        if number < len(path) - 2:
            end = (-bend * math.cos(directions[b]), -bend * math.sin(directions[b]))
        p, q = (a[0] + start[0], a[1] + start[1]), (b[0] + end[0], b[1] + end[1])
        for step in range(POINTS + 1):
            t = step / POINTS
            u, v, w, s = (1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3
            yield (
                u * a[0] + v * p[0] + w * q[0] + s * b[0],
                u * a[1] + v * p[1] + w * q[1] + s * b[1],
            )


def hidden(workflow: dict[str, Any]) -> list[str]:
    """Wires that pass behind a node that they do not belong to."""
    around = boxes(workflow)
    kinds = {node["id"]: node["type"] for node in workflow["nodes"]}
    return [
        f"{wire.name} behind {kinds[node]}"
        for wire in wires(workflow)
        for node, box in around.items()
        if node not in (wire.source[0], wire.target)
        and any(box.left < x < box.right and box.top < y < box.bottom for x, y in wire.points)
    ]


def crossings(workflow: dict[str, Any]) -> list[str]:
    """Pairs of wires that cross; those from one output are one wire here."""
    drawn: dict[tuple[int, int], list[Wire]] = defaultdict(list)
    for wire in wires(workflow):
        drawn[wire.source].append(wire)
    found: dict[tuple[int, int], str] = {}
    for one, other in itertools.combinations(drawn.values(), 2):
        for a, b in itertools.product(one, other):
            for x, y in _meetings(a.points, b.points):
                found.setdefault((round(x / SLOT), round(y / SLOT)), f"{a.name} x {b.name}")
    return sorted(found.values())


def _meetings(one: list[Point], other: list[Point]) -> Iterator[Point]:
    if not _extent(one).meets(_extent(other), margin=1):
        return
    for a, b in itertools.pairwise(one):
        for c, d in itertools.pairwise(other):
            if max(c[0], d[0]) < min(a[0], b[0]) or min(c[0], d[0]) > max(a[0], b[0]):
                continue
            if _side(a, b, c) * _side(a, b, d) < 0 and _side(c, d, a) * _side(c, d, b) < 0:
                yield (a[0] + b[0]) / 2, (a[1] + b[1]) / 2


def _extent(points: list[Point]) -> Box:
    xs, ys = zip(*points, strict=True)
    return Box(min(xs), min(ys), max(xs), max(ys))


def _side(a: Point, b: Point, c: Point) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
