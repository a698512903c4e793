"""The market: models and their settings (temperature, limits, tools), pathways, mail domains, cards."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

#: name, tier, popularity
MODELS: tuple[tuple[str, str, float], ...] = (
    ("meridian-4-large", "large", 20), ("meridian-4", "medium", 34), ("meridian-4-mini", "small", 22),
    ("meridian-3-large", "large", 5), ("meridian-3", "medium", 7), ("meridian-3-mini", "small", 4),
    ("meridian-reason", "large", 8),
)  # fmt: skip
NEW_MODEL = "meridian-5-large"
MODEL_NAMES = (*(m[0] for m in MODELS), NEW_MODEL)
NEW = len(MODELS)
#: Release of each model in days before the world's start. The new model is released inside the window.
RELEASED_BEFORE = (160, 160, 130, 420, 420, 380, 75)

_TASTES = {
    "mixed": {"large": 1.0, "medium": 1.0, "small": 1.0},
    "strong": {"large": 3.0, "medium": 1.0, "small": 0.25},
    "cheap": {"large": 0.2, "medium": 1.0, "small": 2.6},
}
TEMPERATURES = (None, 0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 1.0, 1.2)
_TEMPERATURE_WEIGHTS = {
    "chat": (0.55, 0.03, 0.01, 0.03, 0.03, 0.05, 0.14, 0.04, 0.1, 0.02),
    "code": (0.4, 0.2, 0.06, 0.12, 0.03, 0.03, 0.08, 0.01, 0.06, 0.01),
    "batch": (0.22, 0.4, 0.05, 0.08, 0.04, 0.03, 0.09, 0.02, 0.06, 0.01),
    "harvest": (0.3, 0.14, 0.03, 0.06, 0.05, 0.05, 0.18, 0.05, 0.12, 0.02),
}
LIMITS = (None, 64, 256, 500, 512, 800, 1000, 1024, 1500, 2000, 2048, 4000, 4096, 8192, 16000)
_LIMIT_WEIGHTS = {
    "chat": (0.55, 0.0, 0.02, 0.04, 0.03, 0.02, 0.06, 0.07, 0.02, 0.04, 0.05, 0.02, 0.06, 0.02, 0.0),
    "code": (0.4, 0.02, 0.03, 0.02, 0.03, 0.01, 0.04, 0.05, 0.02, 0.05, 0.07, 0.06, 0.1, 0.08, 0.02),
    "batch": (0.25, 0.13, 0.1, 0.09, 0.08, 0.03, 0.08, 0.08, 0.02, 0.03, 0.05, 0.01, 0.04, 0.01, 0.0),
    "harvest": (0.33, 0.0, 0.01, 0.02, 0.02, 0.02, 0.06, 0.08, 0.03, 0.06, 0.1, 0.05, 0.13, 0.07, 0.02),
}
TOOLSETS: tuple[tuple[str, ...], ...] = (
    (), ("read_file", "edit_file", "run_shell", "search"), ("read_file", "apply_patch", "run_shell"),
    ("open_file", "search_workspace", "apply_patch", "run_task"), ("click", "type", "scroll", "screenshot"),
    ("search_orders", "refund", "escalate"), ("get_weather",), ("web_search",), ("query_sql", "plot"),
    ("lookup_customer", "create_ticket"), ("calendar_list", "calendar_add", "send_mail"), ("retrieve",),
    ("python",), ("web_search", "open_url"), ("bash", "str_replace", "view"), ("run_query", "save_report"),
)  # fmt: skip
AGENT_TOOLSETS = (1, 2, 3, 14)
PATHWAYS = ("api", "cloud-a", "cloud-b", "studio", "marketplace")
PATHWAY_WEIGHTS = (0.62, 0.15, 0.1, 0.08, 0.05)
FREE_MAIL = (
    "gmail.com",
    "outlook.com",
    "yahoo.com",
    "qq.com",
    "163.com",
    "proton.me",
    "icloud.com",
    "gmx.net",
)
FREE_MAIL_WEIGHTS = (0.52, 0.16, 0.08, 0.06, 0.04, 0.05, 0.06, 0.03)
DISPOSABLE_MAIL = ("mailinator.com", "guerrillamail.com", "yopmail.com", "10minutemail.com", "temp-mail.org")
#: Issuer numbers of ordinary cards and of virtual cards, both used by honest customers as well.
CARD_BINS = tuple(str(400_000 + 3571 * i % 150_000) for i in range(140))
VIRTUAL_BINS = tuple(str(531_000 + 77 * i) for i in range(9))


def models(rng: np.random.Generator, taste: str, n: int) -> Ints:
    """``n`` model numbers, drawn by popularity and taste (mixed, strong, cheap)."""
    weight = np.array([popular * _TASTES[taste][tier] for _, tier, popular in MODELS])
    return rng.choice(len(MODELS), size=n, p=weight / weight.sum())


def temperatures(rng: np.random.Generator, use: str, n: int) -> Ints:
    """``n`` positions in ``TEMPERATURES``, drawn for a kind of use."""
    weight = np.array(_TEMPERATURE_WEIGHTS[use])
    return rng.choice(len(TEMPERATURES), size=n, p=weight / weight.sum())


def limits(rng: np.random.Generator, use: str, n: int) -> Ints:
    """``n`` positions in ``LIMITS``, drawn for a kind of use."""
    weight = np.array(_LIMIT_WEIGHTS[use])
    return rng.choice(len(LIMITS), size=n, p=weight / weight.sum())


def ordinary_bins(rng: np.random.Generator, n: int) -> list[str]:
    """Issuers of ordinary cards. A few big banks issue most cards."""
    weight = 1 / np.arange(1, len(CARD_BINS) + 1) ** 0.8
    return [CARD_BINS[i] for i in rng.choice(len(CARD_BINS), size=n, p=weight / weight.sum()).tolist()]


def virtual_bins(rng: np.random.Generator, n: int, among: int = len(VIRTUAL_BINS)) -> list[str]:
    """Issuers of virtual cards among the ``among`` most popular."""
    weight = 1 / np.arange(1, among + 1) ** 0.7
    return [VIRTUAL_BINS[i] for i in rng.choice(among, size=n, p=weight / weight.sum()).tolist()]
