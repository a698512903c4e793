"""The encoder member: a byte-level convolutional network trained from scratch, on model and maker at once.

The encoder sees order and layout, which counts lose. It uses no pretrained weights. It is built for a GPU: mixed
precision on CUDA, all texts in one byte buffer, batches cut out of the buffer by index. It is slow on a CPU, where
the other members do without it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from detector.attribution.extra import needed
from detector.attribution.fingerprint.hashed import encoded

if TYPE_CHECKING:
    import torch

Floats = npt.NDArray[np.float32]

#: Bytes read of a text, width, blocks that halve the length, texts in a step.
WINDOW, WIDTH, BLOCKS, BATCH = 1024, 96, 5, 64
#: Fewest and most steps, by device: the most bounds the time on large tables.
STEPS = {"cpu": (150, 1500), "cuda": (150, 20_000)}
EPOCHS = {"cpu": 6, "cuda": 20}
#: Weight of the maker's loss beside the model's.
FAMILY_WEIGHT = 0.3


def packed(
    texts: Sequence[str | None],
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """All texts as one byte buffer that ends with a window of zeros, with the start and length of each text."""
    parts = [encoded(text) for text in texts]
    lengths = np.array([len(p) for p in parts], np.int64)
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]]) if len(parts) else np.zeros(0, np.int64)
    return np.frombuffer(b"".join(parts) + b"\0" * WINDOW, np.uint8), starts.astype(np.int64), lengths


def windows(
    buffer: torch.Tensor, starts: torch.Tensor, lengths: torch.Tensor, offset: torch.Tensor
) -> torch.Tensor:
    """Bytes of each text from ``offset`` on, zero after its end: texts x WINDOW."""
    torch = needed("torch")
    at = torch.arange(WINDOW, device=buffer.device)
    inside = at < (lengths - offset)[:, None]
    place = ((starts + offset)[:, None] + at).clamp_(max=len(buffer) - 1)
    return torch.where(inside, buffer[place].long(), torch.zeros((), dtype=torch.long, device=buffer.device))  # type: ignore[no-any-return]


def _network(n_classes: int, n_families: int) -> Any:
    torch = needed("torch")
    nn = torch.nn

    class Network(nn.Module):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(256, 32)
            self.first = nn.Conv1d(32, WIDTH, 7, stride=2, padding=3)
            self.blocks = nn.ModuleList(
                nn.Conv1d(WIDTH, WIDTH, 5, stride=2, padding=2) for _ in range(BLOCKS - 1)
            )
            self.norms = nn.ModuleList(nn.GroupNorm(8, WIDTH) for _ in range(BLOCKS))
            self.drop = nn.Dropout(0.3)
            self.hidden = nn.Linear(3 * WIDTH, 192)
            self.model_head = nn.Linear(192, n_classes)
            self.family_head = nn.Linear(192, max(n_families, 1))

        def forward(self, data: Any) -> tuple[Any, Any]:
            gelu = nn.functional.gelu
            x = gelu(self.norms[0](self.first(self.embed(data).transpose(1, 2))))
            early = x.mean(dim=2)
            for conv, norm in zip(self.blocks, self.norms[1:], strict=True):
                x = gelu(norm(conv(x)))
            joined = torch.cat([early, x.mean(dim=2), x.amax(dim=2)], dim=1)
            h = self.drop(gelu(self.hidden(self.drop(joined))))
            return self.model_head(h), self.family_head(h)

    return Network()


def fit_encoder(
    texts: Sequence[str | None],
    classes: npt.NDArray[Any],
    n_classes: int,
    *,
    families: npt.NDArray[np.int64] | None = None,
    importance: Floats | None = None,
    seed: int = 0,
    device: torch.device | None = None,
    progress: Callable[[float, str], None] = lambda share, note: None,
) -> dict[str, Floats]:
    """Arrays of a fitted encoder. ``families`` maps a class to its maker (multi-task); with None, one head trains."""
    torch = needed("torch")
    device = device or torch.device("cpu")
    kind, n = device.type, len(classes)
    epochs = EPOCHS[kind]
    steps = int(np.clip(epochs * n / BATCH, *STEPS[kind]))
    buffer, starts, lengths = (torch.from_numpy(a.copy()).to(device) for a in packed(texts))
    target = torch.from_numpy(classes.astype(np.int64)).to(device)
    maker = None if families is None else torch.from_numpy(families[classes]).to(device)
    n_families = 0 if families is None else int(families.max()) + 1
    share = np.ones(n) if importance is None else importance.astype(np.float64)
    chance = np.random.default_rng(seed)
    with torch.random.fork_rng(devices=[device] if kind == "cuda" else []):
        torch.manual_seed(seed)
        net = _network(n_classes, n_families).to(device).train()
        search = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=0.02)
        pace = torch.optim.lr_scheduler.OneCycleLR(search, 2e-3, total_steps=steps + 1)
        loss_of = torch.nn.functional.cross_entropy
        for step in range(steps):
            rows = torch.from_numpy(chance.choice(n, min(BATCH, n), p=share / share.sum())).to(device)
            # Most windows start with the text. The rest start anywhere, or the encoder would learn openings only.
            room = (lengths[rows] - WINDOW // 2).clamp_(min=0)
            drawn = torch.from_numpy(chance.random((2, len(rows)))).to(device)
            offset = (room * drawn[0] * (drawn[1] < 0.4)).long()
            search.zero_grad(set_to_none=True)
            # bfloat16 has the range of float32: no loss scaling is needed.
            with torch.autocast(kind, dtype=torch.bfloat16, enabled=kind == "cuda"):
                scores, makers = net(windows(buffer, starts[rows], lengths[rows], offset))
                loss = loss_of(scores.float(), target[rows], label_smoothing=0.05)
                if maker is not None:
                    loss = loss + FAMILY_WEIGHT * loss_of(makers.float(), maker[rows])
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            search.step()
            pace.step()
            if step % 20 == 0:
                progress(step / steps, f"encoder: loss {float(loss.detach()):.3f}")
    return {name: tensor.detach().float().cpu().numpy() for name, tensor in net.state_dict().items()}


class EncoderMember:
    """A fitted encoder."""

    def __init__(self, arrays: dict[str, Floats], n_classes: int, device: torch.device) -> None:
        torch = needed("torch")
        self.device = device
        net = _network(n_classes, len(arrays["family_head.bias"]))
        net.load_state_dict({name: torch.from_numpy(values) for name, values in arrays.items()})
        self._net = net.eval().to(device)

    def logits(self, texts: Sequence[str | None]) -> Floats:
        """Scores from the opening window of each text, texts x classes."""
        torch = needed("torch")
        buffer, starts, lengths = (torch.from_numpy(a.copy()).to(self.device) for a in packed(texts))
        out = []
        with torch.no_grad():
            for first in range(0, len(texts), 256):
                some = slice(first, first + 256)
                zero = torch.zeros_like(starts[some])
                with torch.autocast(
                    self.device.type, dtype=torch.bfloat16, enabled=self.device.type == "cuda"
                ):
                    scores, _ = self._net(windows(buffer, starts[some], lengths[some], zero))
                out.append(scores.float().cpu().numpy())
        return np.concatenate(out)
