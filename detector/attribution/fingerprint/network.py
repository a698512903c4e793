"""The style member: a small network over standardised stylometry, averaged over a few seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from detector.attribution.extra import needed
from detector.attribution.fingerprint.style import COLUMNS, measured

if TYPE_CHECKING:
    import torch

Floats = npt.NDArray[np.float32]

HIDDEN, SEEDS, EPOCHS, BATCH = 192, 2, 12, 160
#: Fewest and most steps of one seed.
STEPS = (200, 3000)
_CLIP = 4.0


def _bent(values: Floats) -> Floats:
    """Signed logarithm: rates are skewed, and a network learns better from even values."""
    return np.asarray(np.sign(values) * np.log1p(np.abs(values)), np.float32)


def _layers(n_classes: int) -> Any:
    nn = needed("torch").nn
    return nn.Sequential(
        nn.Dropout(0.1),
        nn.Linear(len(COLUMNS), HIDDEN), nn.GELU(), nn.Dropout(0.4),
        nn.Linear(HIDDEN, HIDDEN), nn.GELU(), nn.Dropout(0.4),
        nn.Linear(HIDDEN, n_classes),
    )  # fmt: skip


def fit_style(
    values: Floats,
    classes: npt.NDArray[Any],
    n_classes: int,
    *,
    importance: Floats | None = None,
    seed: int = 0,
    device: torch.device | None = None,
    progress: Callable[[float, str], None] = lambda share, note: None,
) -> dict[str, Floats]:
    """Arrays of a fitted style member: ``mean``, ``scale`` and the layers of each seed."""
    torch = needed("torch")
    device = device or torch.device("cpu")
    bent = _bent(values)
    mean, scale = bent.mean(axis=0), bent.std(axis=0) + 1e-3
    arrays: dict[str, Floats] = {"mean": mean, "scale": scale}
    even = torch.from_numpy(np.clip((bent - mean) / scale, -_CLIP, _CLIP)).to(device)
    target = torch.from_numpy(classes.astype(np.int64)).to(device)
    share = (
        torch.ones(len(classes)) if importance is None else torch.from_numpy(importance.astype(np.float32))
    )
    share = (share / share.mean()).to(device)
    n = len(classes)
    # A handful of texts needs more rounds over them than tens of thousands do.
    epochs = max(1, round(float(np.clip(EPOCHS * n / BATCH, *STEPS)) * BATCH / n))
    steps = epochs * -(-n // BATCH)
    for number in range(SEEDS):
        chance = torch.Generator().manual_seed(seed * 1000 + number)
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(seed * 1000 + number)
            net = _layers(n_classes).to(device)
            search = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=0.05, fused=False)
            pace = torch.optim.lr_scheduler.OneCycleLR(search, 3e-3, total_steps=steps + 1)
            net.train()
            for epoch in range(epochs):
                for rows in torch.randperm(n, generator=chance).split(BATCH):
                    rows = rows.to(device)
                    search.zero_grad()
                    loss = torch.nn.functional.cross_entropy(
                        net(even[rows]), target[rows], label_smoothing=0.05, reduction="none"
                    )
                    (loss * share[rows]).mean().backward()
                    search.step()
                    pace.step()
                progress((number + (epoch + 1) / epochs) / SEEDS, "style: training")
        for name, tensor in net.state_dict().items():
            arrays[f"{number}.{name}"] = tensor.detach().cpu().numpy()
    return arrays


class StyleMember:
    """A fitted style member."""

    def __init__(self, arrays: dict[str, Floats], n_classes: int, device: torch.device) -> None:
        torch = needed("torch")
        self.arrays = arrays
        self.device = device
        self._nets = []
        for number in range(SEEDS):
            net = _layers(n_classes)
            prefix = f"{number}."
            net.load_state_dict(
                {k[len(prefix) :]: torch.from_numpy(v) for k, v in arrays.items() if k.startswith(prefix)}
            )
            self._nets.append(net.eval().to(device))

    def logits_of(self, values: Floats) -> Floats:
        """Mean log-probabilities of the seeds for measured style, texts x classes."""
        torch = needed("torch")
        even = np.clip((_bent(values) - self.arrays["mean"]) / self.arrays["scale"], -_CLIP, _CLIP)
        with torch.no_grad():
            inputs = torch.from_numpy(even.astype(np.float32)).to(self.device)
            out = sum(torch.log_softmax(net(inputs), dim=1) for net in self._nets) / len(self._nets)
            return out.cpu().numpy()  # type: ignore[no-any-return]

    def logits(self, texts: Sequence[str | None]) -> Floats:
        """Mean log-probabilities of the seeds, texts x classes."""
        return self.logits_of(measured(texts))
