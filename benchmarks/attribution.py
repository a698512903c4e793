"""Speed of attribution: texts a second of each part on one CPU core, and on CUDA where it is available.

    python -m benchmarks.attribution [--texts 4000] [--bytes 1500]

Texts are made of random words, so they have more distinct n-grams than real texts. Real texts are a little faster.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable, Sequence

import numpy as np

from detector.attribution.extra import chosen_device, needed
from detector.attribution.fingerprint import encoder, hashed, linear, network, style, trees


def random_texts(n: int, size: int, seed: int = 0) -> list[str]:
    """Texts of about ``size`` bytes with lists and punctuation. Word frequencies fall off as in language."""
    rng = random.Random(seed)
    words = ["".join(rng.choices("etaoinshrdlu", k=rng.randint(2, 9))) for _ in range(5000)]
    weights = [1 / (rank + 3) for rank in range(len(words))]
    out = []
    for _ in range(n):
        picked = rng.choices(words, weights, k=size // 6)
        out.append("".join(w + rng.choice((" ", " ", " ", " ", ", ", ". ", "\n- ")) for w in picked)[:size])
    return out


def rate(work: Callable[[Sequence[str]], object], texts: Sequence[str], *, wall: bool) -> float:
    """Texts a second of processor time, which a busy machine does not change. On CUDA it is wall time."""
    clock = time.perf_counter if wall else time.process_time
    work(texts[:200])
    started = clock()
    work(texts)
    return len(texts) / (clock() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=int, default=4000)
    parser.add_argument("--bytes", type=int, default=1500)
    parser.add_argument("--classes", type=int, default=5)
    asked = parser.parse_args()
    torch = needed("torch")
    torch.set_num_threads(1)
    texts = random_texts(asked.texts, asked.bytes)
    classes = np.arange(len(texts)) % asked.classes
    some = texts[:1500]
    vocabulary = linear.choose_columns(some, classes[:1500])
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    styled = style.measured(texts)
    grown = trees.TreesMember(trees.fit_trees(styled[:200], classes[:200], asked.classes), asked.classes)
    rates: dict[str, dict[str, float]] = {}
    rng = np.random.default_rng(0)
    fitted = network.fit_style(style.measured(some[:200]), classes[:200], asked.classes)
    for name in devices:
        device, wall = chosen_device(name), name == "cuda"
        weights = rng.normal(size=(len(vocabulary), asked.classes)).astype(np.float32)
        bag = linear.LinearMember(vocabulary, weights, np.zeros(asked.classes, np.float32), device)
        styles = network.StyleMember(fitted, asked.classes, device)
        arrays = encoder.fit_encoder(some[:64], classes[:64], asked.classes, device=device) if wall else None
        rates_by_part = {
            "counts over all columns": rate(hashed.count_all, texts, wall=wall),
            "kept columns": rate(vocabulary.vectors, texts, wall=wall),
            "linear member, whole": rate(bag.logits, texts, wall=wall),
            "style member, whole": rate(styles.logits, texts, wall=wall),
            "trees member, style measured": rate(
                lambda some: grown.logits_of(styled[: len(some)]), texts, wall=wall
            ),
        }
        if arrays is None:
            keep = encoder.STEPS["cpu"]
            encoder.STEPS["cpu"] = (1, 1)
            arrays = encoder.fit_encoder(some[:64], classes[:64], asked.classes, device=device)
            encoder.STEPS["cpu"] = keep
        member = encoder.EncoderMember(arrays, asked.classes, device)
        rates_by_part["encoder member, whole"] = rate(
            member.logits, texts if wall else texts[:300], wall=wall
        )
        rates[name] = rates_by_part
    for what in rates["cpu"]:
        line = "  ".join(f"{name} {rates[name][what]:>9,.0f} texts/s" for name in devices)
        ratio = f"  ratio {rates['cuda'][what] / rates['cpu'][what]:.1f}" if "cuda" in rates else ""
        print(f"{what:28} {line}{ratio}")


if __name__ == "__main__":
    main()
