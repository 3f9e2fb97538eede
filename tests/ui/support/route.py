"""Lay the wires of workflows anew: `python tests/ui/support/route.py workflows/NAME.json …`.

Nodes stay where they are, in columns. A wire goes along streets: up and down in the gaps between
the columns, and across each column on its way above, below or between its nodes. Which streets is
searched for, until few wires cross and none lie on one another.
"""

from __future__ import annotations

import itertools
import json
import math
import random
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import layout
import numpy as np
import numpy.typing as npt
from layout import Box, Point

# Between wires of one street, from a street's wall, and how far a wire climbs with no corner.
LANE, WALL, STRAIGHT_ON = 12, 10, 40
LONG, NEAR = 150, 26  # a wire this long is pinned this near to its corners: it would bulge
CROSSING, TOGETHER, LENGTH, CORNER = 100.0, 150.0, 0.05, 6.0  # what each costs
HIDDEN = 10  # crossings that one hidden wire counts for
ATTEMPTS, MOVES, HOT, COLD = 3, 24000, 120.0, 2.0

Output = tuple[int, int]  # node and slot


class Streets:
    """Where wires can go between nodes that stand in columns.

    Args:
        nodes: boxes of the nodes.
    """

    def __init__(self, nodes: dict[int, Box]) -> None:
        columns: list[list[int]] = []
        right = -math.inf
        for node in sorted(nodes, key=lambda node: nodes[node].left):
            if nodes[node].left >= right:
                columns.append([])
            columns[-1].append(node)
            right = max(right, nodes[node].right)
        self.column = {node: k for k, column in enumerate(columns) for node in column}
        sides = [
            (min(nodes[n].left for n in column), max(nodes[n].right for n in column))
            for column in columns
        ]
        around = [(sides[0][0] - 60, sides[0][0]), (sides[-1][1], sides[-1][1] + 60)]
        gaps = [around[0], *((a[1], b[0]) for a, b in itertools.pairwise(sides)), around[1]]
        # Street k goes down on the left of column k.
        self.down = [_lanes(*gap) for gap in gaps]
        self.across = [
            [*self._across(sorted((nodes[n].top, nodes[n].bottom) for n in column))]
            for column in columns
        ]

    @staticmethod
    def _across(spans: list[tuple[float, float]]) -> Iterator[float]:
        yield from _lanes(spans[0][0] - 60, spans[0][0])
        bottom = spans[0][1]
        for top, below in spans[1:]:
            yield from _lanes(bottom, top)
            bottom = max(bottom, below)
        yield from _lanes(bottom, bottom + 60)


def _lanes(begin: float, end: float) -> list[float]:
    room = end - begin - 2 * WALL
    if room < 0:
        return []
    count = int(room // LANE) + 1
    return [round((begin + end) / 2 + LANE * (k - (count - 1) / 2)) for k in range(count)]


class Router:
    """The search for one workflow.

    Args:
        workflow: as the front end saves it; its reroutes are replaced.
    """

    def __init__(self, workflow: dict[str, Any]) -> None:
        self.workflow = workflow
        self.streets = Streets(layout.boxes(workflow))
        nodes = {node["id"]: node for node in workflow["nodes"]}
        self.output: dict[int, Output] = {}
        self.ends: dict[int, tuple[Point, Point]] = {}
        # Of each wire: which streets it takes, down and across in turn, by their number.
        self.streets_of: dict[int, list[int]] = {}
        for link, source, slot, target, place, _ in workflow["links"]:
            self.output[link] = (source, slot)
            self.ends[link] = (
                layout.output(nodes[source], slot),
                layout.input_(nodes[target], place),
            )
            self.streets_of[link] = self._passed(source, target)

    def _passed(self, source: int, target: int) -> list[int]:
        one, other = self.streets.column[source], self.streets.column[target]
        if one == other:
            boxes = layout.boxes(self.workflow)
            beside = boxes[source].right < boxes[target].left
            return [] if beside else [one + 1, one, one]
        between = [k for column in range(one + 1, other) for k in (column, column)]
        return [*between, other]

    def _choices(self, link: int, turn: int) -> list[float]:
        street = self.streets_of[link][turn]
        return (self.streets.across if turn % 2 else self.streets.down)[street]

    def search(self) -> int:
        """Lay all wires as well as can be found; returns how many cross, more for hidden ones."""
        chance, best, cost = random.Random(0), {}, math.inf
        for _ in range(ATTEMPTS):
            ways = self._annealed(chance)
            self._lay(ways)
            # As they are drawn, wires are curved.
            hidden, crossings = layout.hidden(self.workflow), layout.crossings(self.workflow)
            if (found := HIDDEN * len(hidden) + len(crossings)) < cost:
                best, cost = ways, found
        self._lay(best)
        return int(cost)

    def _annealed(self, chance: random.Random) -> dict[int, list[float]]:
        turns = [(link, turn) for link, k in self.streets_of.items() for turn in range(len(k))]
        ways = {link: [0.0] * len(streets) for link, streets in self.streets_of.items()}
        for link, turn in turns:
            ways[link][turn] = chance.choice(self._choices(link, turn))
        cost = lowest = self._cost(ways)
        best = ways
        for number in range(MOVES if turns else 0):
            temperature = HOT * (COLD / HOT) ** (number / MOVES)
            tried = ways
            for _ in range(chance.choice((1, 1, 2))):
                link, turn = chance.choice(turns)
                lane = chance.choice(self._choices(link, turn))
                tried = self._moved(tried, link, turn, lane, alone=chance.random() < 0.3)
            found = self._cost(tried)
            if found < cost or chance.random() < math.exp((cost - found) / temperature):
                ways, cost = tried, found
                if cost < lowest:
                    best, lowest = ways, cost
        return best

    def _moved(
        self, ways: dict[int, list[float]], link: int, turn: int, lane: float, alone: bool
    ) -> dict[int, list[float]]:
        """One wire in another lane of a street; or all of its output that go there."""
        tried, street = dict(ways), self.streets_of[link][turn]
        for other, streets in self.streets_of.items():
            same = other == link or (not alone and self.output[other] == self.output[link])
            if same and len(streets) > turn and streets[turn] == street:
                tried[other] = [*ways[other][:turn], lane, *ways[other][turn + 1 :]]
        return tried

    def _path(self, link: int, way: list[float]) -> list[Point]:
        """Both ends and the corners between them; a small step has none."""
        begin, end = self.ends[link]
        heights = [begin[1], *way[1::2], end[1]] if way else []
        path = [begin]
        for across, (above, below) in zip(way[::2], itertools.pairwise(heights), strict=True):
            if abs(above - below) > STRAIGHT_ON or len(way) > 1:
                path += [(across, above), (across, below)]
        return [*path, end]

    def _cost(self, ways: dict[int, list[float]]) -> float:
        pieces: dict[tuple[Point, Point], Output] = {}
        for link, way in ways.items():
            pairs = itertools.pairwise(self._path(link, way))
            pieces.update(dict.fromkeys(pairs, self.output[link]))
        ends = np.array(list(pieces), dtype=float)
        outputs = np.array(list(pieces.values()))
        apart = (outputs[:, None] != outputs[None]).any(-1)
        return float(
            CROSSING * (_crossed(ends[:, 0], ends[:, 1]) & apart).sum() / 2
            + TOGETHER * _together(pieces)
            + LENGTH * np.abs(ends[:, 1] - ends[:, 0]).sum()
            + CORNER * len(pieces)
        )

    def _lay(self, ways: dict[int, list[float]]) -> None:
        """Write the reroutes; wires of one output share them as far as they go together."""
        made: dict[tuple[Any, ...], dict[str, Any]] = {}
        last = []
        for link, way in ways.items():
            path: tuple[Any, ...] = self.output[link]
            parent = None
            for corner in _pinned(self._path(link, way)):
                path = (*path, corner)
                if path not in made:
                    made[path] = {"id": len(made) + 1, "pos": list(corner), "linkIds": []}
                    if parent is not None:
                        made[path]["parentId"] = parent
                made[path]["linkIds"].append(link)
                parent = made[path]["id"]
            if parent is not None:
                last.append({"id": link, "parentId": parent})
        self.workflow["extra"] |= {"reroutes": [*made.values()], "linkExtensions": last}


def _pinned(path: list[Point]) -> Iterator[Point]:
    """The corners, and points near those at the ends of long pieces."""
    for number, (a, b) in enumerate(itertools.pairwise(path)):
        if number > 0:
            yield a
        if (length := math.dist(a, b)) > LONG:
            x, y = (b[0] - a[0]) * NEAR / length, (b[1] - a[1]) * NEAR / length
            if number > 0:
                yield a[0] + x, a[1] + y
            if number < len(path) - 2:
                yield b[0] - x, b[1] - y


def _crossed(start: npt.NDArray[Any], end: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Which pairs of pieces cross; pieces that only touch do not."""

    def side(at: npt.NDArray[Any]) -> npt.NDArray[Any]:
        along, to = end - start, at[None] - start[:, None]
        return along[:, None, 0] * to[..., 1] - along[:, None, 1] * to[..., 0]

    split = side(start) * side(end) < 0
    return split & split.T


def _together(pieces: dict[tuple[Point, Point], Output]) -> int:
    """How many pieces of different outputs lie on one another in a lane."""
    lanes = defaultdict(list)
    for (a, b), output in pieces.items():
        if a[0] == b[0]:
            lanes["down", a[0]].append((*sorted((a[1], b[1])), output))
        elif a[1] == b[1]:
            lanes["across", a[1]].append((*sorted((a[0], b[0])), output))
    return sum(
        one[2] != other[2] and one[0] < other[1] + LANE and other[0] < one[1] + LANE
        for lane in lanes.values()
        for one, other in itertools.combinations(lane, 2)
    )


def main(paths: list[str]) -> None:
    """Lay the wires of these files."""
    for path in map(Path, paths):
        workflow = json.loads(path.read_text())
        Router(workflow).search()
        path.write_text(json.dumps(workflow, indent=1, ensure_ascii=False) + "\n")
        crossings, hidden = layout.crossings(workflow), layout.hidden(workflow)
        print(f"{path.stem}: {len(crossings)} crossings, hidden {hidden}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
