"""A phrase is its English text, and knows what it was made of."""

from __future__ import annotations

import json

from ilvr_latent.phrases import Phrase, joined


def test_a_phrase_is_a_text_that_can_be_taken_apart() -> None:
    span = Phrase("{first} to {last}", first=1, last=3)
    said = Phrase("Matches {what}.", what=Phrase("steps {steps}", steps=joined([span, "6"])))
    assert said == "Matches steps 1 to 3, 6."
    assert json.loads(json.dumps(said.parts())) == {
        "template": "Matches {what}.",
        "values": {
            "what": {
                "template": "steps {steps}",
                "values": {
                    "steps": {
                        "template": "{these}, {those}",
                        "values": {
                            "these": {
                                "template": "{first} to {last}",
                                "values": {"first": "1", "last": "3"},
                            },
                            "those": "6",
                        },
                    }
                },
            }
        },
    }


def test_one_text_is_a_list_of_itself() -> None:
    assert joined(["4"]) == "4"
