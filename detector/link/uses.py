"""Which keys each analysis reads: of which families or kinds, and from how many holders on a key says nothing.

Decided here for all of them, side by side, since they differ for reasons. *Links* are what accounts are run with (cards,
exits, clients, hours); *text* is what they ask. A hub, a key that a large part of the site holds, tells its holders apart
from nobody; where it begins depends on what is asked of the key.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from detector import tuning
from features.spec import Family

#: Families of keys; their codes are their places.
FAMILIES: tuple[Family, ...] = get_args(Family)
#: Kinds of text that speak of structure. A whole prompt in common is a public question; tools and settings come with the
#: application.
USER_TEXT = ("opening4", "opening8", "ending4", "ending8", "line", "gram5", "band", "template")
#: The same of system prompts, which come with software: whoever runs a harvester's client need not be one.
SYSTEM_TEXT = ("system", "system_band")
#: Kinds of content that come with the client software rather than with what it is used for: a coding agent's
#: system prompt and its user agent are one fact, not two that agree.
SAME_SOURCE: dict[str, Family] = {"system": "client", "system_band": "client"}
#: Strangers keep the same hours as easily as anybody copies a prompt: neither makes a bond unspoofable.
BY_CHANCE: tuple[Family, ...] = ("rhythm",)


@dataclass(frozen=True)
class Use:
    """Keys that one analysis reads.

    ``kinds``: of these only (empty: all of the families). ``least``: fewest holders (any key of a night has two). A key
    that more hold than ``share`` of the accounts (0..1), or than ``number`` where that is more, is too common to say
    anything; ``of``: the share is of all accounts of the window, or of those that share any key.
    """

    families: tuple[Family, ...]
    share: float
    number: int
    kinds: tuple[str, ...] = ()
    least: int = 1
    of: Literal["population", "holders"] = "population"

    @property
    def is_text(self) -> bool:
        """Whether it reads text: then only of holders who sent it in the window, not of who once did."""
        return self.families == ("content",)


#: Accounts that ask alike (``link.similarity``). Text counts by the square of its rarity, so that a phrase of a tenth of
#: the site weighs next to nothing before it is cut. Two holders are enough: many keys have to agree.
SIMILAR_TEXT = Use(
    ("content",),
    tuning.SIMILAR_TEXT_SHARE,
    tuning.SIMILAR_TEXT_HOLDERS,
    USER_TEXT,
    tuning.SIMILAR_TEXT_HOLDERS,
)
#: Links that raise a similarity. Pauses count: who asks alike at the same hours is rather one. Succession does not: it
#: says that one account follows another, not that both are at work.
SIMILAR_LINKS = Use(("billing", "network", "client", "rhythm"), tuning.LINK_SHARE, tuning.LINK_HOLDERS)
#: Text judged as a scaffold (``score.template_reuse``): any number of holders, which is a feature of its own. System
#: prompts count: a harvester's is a scaffold.
TEMPLATE_TEXT = Use(("content",), float("inf"), 0, (*USER_TEXT, *SYSTEM_TEXT), tuning.TEMPLATE_HOLDERS)
#: Links that tie two holders of a scaffold. Clients do not: whoever runs one program has its text and its client.
#: Stricter than elsewhere, since holders of one text are asked for *any* link among them.
TEMPLATE_LINKS = Use(
    ("billing", "network", "rhythm", "succession"), tuning.TEMPLATE_LINK_SHARE, tuning.LINK_HOLDERS
)
#: Keys at which neighbours are met (``score.relational``, ``link.communities``). Hours do not make neighbours.
NEIGHBOUR_LINKS = Use(("billing", "network", "client", "succession"), tuning.LINK_SHARE, tuning.LINK_HOLDERS)
#: Text at which neighbours are met: of user prompts, and judged as a share of who shares anything, as the models learned.
NEIGHBOUR_TEXT = Use(
    ("content",), tuning.LINK_SHARE, tuning.LINK_HOLDERS, USER_TEXT, tuning.TEMPLATE_HOLDERS, "holders"
)
#: Families of which neighbours are measured, in the order in which their bits are added up.
NEIGHBOUR_FAMILIES: tuple[Family, ...] = (*NEIGHBOUR_LINKS.families, *NEIGHBOUR_TEXT.families)
