"""Which features each model of the classifier may use, and which way each may point.

Derived from what is declared beside the code that measures: the columns of the plug-ins, and the ``FEATURES`` of the
stages of the score. A column says by itself who reads it (``models``) and which way (``direction``), or why nobody does
(``descriptive``), so a new measurement is offered to the next training by its own file alone. A fitted model names
the features it kept: what is added, dropped or put in another order here changes no score until it is trained again.

What is left out, and why:

* What says how a particular campaign happened to behave - long answers, the largest model, single turns, one capability
  class: on simulated worlds it lifts every figure, on a campaign nobody has seen it misleads.
* What says how large a customer is: an enterprise sends more than any attacker through one account.
* Countries, names and identity: never.
"""

from __future__ import annotations

from collections.abc import Mapping

from detector.score import inputs, relational, template_reuse
from features import plugins
from features.spec import Column, Direction, read_by

#: Features computed by the stages of the score itself, beside the measurements of the plug-ins.
COMPUTED: tuple[Column, ...] = (
    *template_reuse.KEY_FEATURES,
    *template_reuse.ACCOUNT_FEATURES,
    *inputs.GROUP_FEATURES,
    *inputs.MEMBER_FEATURES,
    *relational.FEATURES,
)

_ACCOUNT = (*plugins.columns("account"), *template_reuse.ACCOUNT_FEATURES)

#: How one account acts as one of a harvest.
ACCOUNT_TERMS: Mapping[str, Direction] = read_by("conduct", _ACCOUNT)

#: What one account does alone that is abuse in itself: reading out the distribution, one key in many hands. Programs
#: that read probabilities of a fixed question have one template; a read-out, and many hands, have ever different ones.
SINGLE_ACCOUNT_TERMS: Mapping[str, Direction] = read_by("single_account", _ACCOUNT)

#: How the members of a group act together.
GROUP_TERMS: Mapping[str, Direction] = read_by("group", (*plugins.columns("group"), *inputs.GROUP_FEATURES))

#: What tells the members of an abusive group from its false members.
MEMBER_TERMS: Mapping[str, Direction] = read_by("membership", inputs.MEMBER_FEATURES)
