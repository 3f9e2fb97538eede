"""What the training pictures are called, and the small tokenizer made from these words.

Names come from unicode-emoji-json, keywords from emojilib (both MIT). A word list of about three
thousand byte-pair tokens is enough for them; CLIP's own has 49 thousand, which would be larger
than the rest of the model. Letters are numbered in no fixed order, so a tokenizer belongs to the
run that was trained with it.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from torch import Generator, Tensor
from transformers import CLIPTokenizer

from training.data import NAMES, SKIN_TONES, Picture, canonical, fetch_package, select

KEYWORDS = ("emojilib", "4.0.3")
VOCABULARY = 3072
MAX_LENGTH = 16
BEGIN, END = "<|startoftext|>", "<|endoftext|>"
SOLID = "3d"
# Of designs (training/styles.py), and what stands before a name.
STYLE_WORDS = {SOLID, "flat", "noto", "twemoji", "a", "an"}


def words(text: str) -> str:
    """Lower-case letters and digits, one space between words."""
    return " ".join(re.findall(r"[a-z0-9]+", text.lower()))


def captions(pictures: list[Picture], folder: Path) -> list[tuple[str, ...]]:
    """For every picture its name, then its keywords; empty where nobody has named it.

    Args:
        pictures: as :func:`training.data.select` gives them.
        folder: where npm packages are kept.
    """
    keywords = json.loads(
        (fetch_package(*KEYWORDS, folder) / "dist" / "emoji-en-US.json").read_text()
    )
    emoji = json.loads((fetch_package(*NAMES, folder) / "data-by-emoji.json").read_text())
    known = {}
    for character, about in emoji.items():
        key = canonical("-".join(f"{ord(c):04x}" for c in character))
        given = [words(keyword) for keyword in keywords.get(character, [])]
        name = words(about["name"])
        known[key] = tuple(dict.fromkeys([name, *(k for k in given if k)]))
    found = []
    for picture in pictures:
        parts = [part for part in picture.path.stem.split("-") if part not in SKIN_TONES]
        found.append(known.get(canonical("-".join(parts)), ()))
    return found


def all_words(cache: Path) -> list[str]:
    """What the captions of all pictures are made of, in order."""
    npm = cache / "npm"
    parts = [part for caption in captions(select(npm), npm) for part in caption]
    return sorted({word for part in parts for word in part.split()} | STYLE_WORDS)


def draw_caption(caption: tuple[str, ...], generator: Generator) -> str:
    """One way to say it: name, name and keywords, or keywords.

    Args:
        caption: the name and the keywords; empty where nobody has named it.
        generator: where every random number comes from.
    """
    name, *keywords = caption or ("",)
    kind = torch.rand((), generator=generator).item()
    order = torch.randperm(len(keywords), generator=generator)[:3].tolist()
    some = [keywords[index] for index in order[: 1 + int(kind * 1000) % 3]]
    if kind < 0.15:
        return f"{'an' if name[0] in 'aeiou' else 'a'} {name}" if name else name
    if kind < 0.5 or not some:
        return name
    return ", ".join([name, *some] if kind < 0.8 else some)


def in_style(text: str, style: str, generator: Generator) -> str:
    """The caption with the word for its design, which the solid one mostly goes without."""
    if style == SOLID and torch.rand((), generator=generator) < 0.75:
        return text
    return f"{text}, {style}" if torch.rand((), generator=generator) < 0.5 else f"{style} {text}"


def tokenized(
    tokenizer: CLIPTokenizer,
    caption: tuple[str, ...],
    style: str,
    count: int,
    generator: Generator,
) -> Tensor:
    """Some ways to say a picture, and as the last one nothing, (count, 16)."""
    texts = [in_style(draw_caption(caption, generator), style, generator) for _ in range(count - 1)]
    ids: Tensor = tokenizer(
        [*texts, ""],
        padding="max_length",
        max_length=MAX_LENGTH,
        truncation=True,
        return_tensors="pt",
    ).input_ids
    return ids


def tokenizer_of(
    known: list[tuple[str, ...]], styles: tuple[str, ...], folder: Path
) -> CLIPTokenizer:
    """The tokenizer of all captions, made on first use.

    Args:
        known: as :func:`captions` gives them.
        styles: the words for the designs.
        folder: where its files are.
    """
    if (folder / "vocab.json").exists():
        tokenizer: CLIPTokenizer = CLIPTokenizer.from_pretrained(folder)
        return tokenizer
    texts = [text for caption in known for text in caption]
    return make_tokenizer([*texts, *styles], folder)


def make_tokenizer(texts: list[str], folder: Path) -> CLIPTokenizer:
    """A tokenizer of CLIP's layout with a vocabulary of its own.

    Args:
        texts: what it must be able to say.
        folder: its files go there, in the form that old and new versions of transformers read.
    """
    learned = Tokenizer(models.BPE(unk_token=END, end_of_word_suffix="</w>"))
    learned.pre_tokenizer = pre_tokenizers.Whitespace()
    alphabet = [*"abcdefghijklmnopqrstuvwxyz0123456789,.'!-"]
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[BEGIN, END],
        initial_alphabet=alphabet,
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    # Every letter must also be able to end a word.
    learned.train_from_iterator([*texts, *alphabet], trainer)
    folder.mkdir(parents=True, exist_ok=True)
    learned.model.save(str(folder))  # vocab.json and merges.txt
    special = {"unk_token": END, "bos_token": BEGIN, "eos_token": END, "pad_token": END}
    settings = {"tokenizer_class": "CLIPTokenizer", "model_max_length": MAX_LENGTH, **special}
    for name, content in (("tokenizer_config", settings), ("special_tokens_map", special)):
        (folder / f"{name}.json").write_text(json.dumps(content, indent=2) + "\n")
    tokenizer: CLIPTokenizer = CLIPTokenizer.from_pretrained(folder)
    return tokenizer
