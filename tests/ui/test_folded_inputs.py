"""What newcomers do not need is folded away, and what has no effect is not shown."""

from __future__ import annotations

from typing import Any

import browser
from browser import WORKFLOWS

SIMPLE = ["factor", "start_percent", "end_percent", "weight"]
NODE = 'const node = window.app.graph._nodes.find(node => node.type === "ILVRApply");'
SHOWN = f"""() => {{ {NODE}
    return node.widgets.filter(widget => node.isWidgetVisible(widget)).map(widget => widget.name);
}}"""


def shown(page: Any) -> set[str]:
    return set(page.evaluate(SHOWN))


def test_a_template_shows_what_a_newcomer_needs_at_the_size_it_was_saved_with(page: Any) -> None:
    browser.load(page, WORKFLOWS[0])
    assert shown(page) == set(SIMPLE)
    page.wait_for_timeout(500)  # of drawing, which may enlarge a node
    width, height = page.evaluate(f"() => {{ {NODE} return [...node.size]; }}")
    assert (width, height) == (260, 240)


def test_the_rest_is_one_click_away_but_for_what_has_no_effect(page: Any) -> None:
    browser.load(page, WORKFLOWS[0])
    page.evaluate(f"() => {{ {NODE} node.toggleAdvanced(); }}")
    assert {*SIMPLE, "space", "range_unit", "weight_schedule"} <= shown(page)
    assert not {"start_step", "end_step", "end_weight", "weight_points"} & shown(page)
    page.evaluate(f"""() => {{ {NODE}
        for (const [name, value] of [["range_unit", "steps"], ["weight_schedule", "points"]]) {{
            const widget = node.widgets.find(widget => widget.name === name);
            widget.value = value;
            widget.callback(value, window.app.canvas, node);
        }}
    }}""")
    assert {"start_step", "end_step", "weight_points"} <= shown(page)
    assert not {"start_percent", "end_percent", "end_weight"} & shown(page)


def test_a_workflow_that_sets_one_shows_them(page: Any) -> None:
    paper = next(path for path in WORKFLOWS if browser.prefix(path) == "ilvr-adm-paper-settings")
    browser.load(page, paper)
    assert {"space", "noise", "kernel"} <= shown(page)
