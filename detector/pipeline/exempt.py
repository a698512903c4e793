"""What the allow-list and the settings mean for a lake: who is exempted, what changed, what no longer acts."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict
from datetime import date, timedelta
from typing import Any

import polars as pl

from detector.alert.clean import clean, show_id
from detector.config import Config
from detector.decide.exemptions import Exemption, exemptions
from detector.lake.engine import literal
from detector.lake.store import Store
from detector.pipeline import relations

#: Exempted accounts named in one sentence; the case file lists all.
_NAMED = 5


def facts(store: Store, config: Config, day: date, *, accounts: str | None = None) -> pl.DataFrame:
    """account_id, org_id, program of the accounts known by the end of ``day``.

    Where the accounts file tells no organisation, the one that the requests of the window name counts: a site
    may have no accounts file at all, and exempt an organisation of its logs. ``accounts``: relation of what is
    known of accounts that day, where a run has bound it.
    """
    source = accounts or relations.known_accounts(store, day)
    account_facts = relations.frame(
        store.engine.query(f"SELECT account_id, org_id, program FROM {source}", of="facts of accounts")
    )
    _, orgs = config.allowed(day)
    if not orgs:
        return account_facts
    days = [d for d in store.days("requests") if day - timedelta(days=config.window_days) < d <= day]
    names = ", ".join(literal(org) for org in sorted(orgs))
    log_orgs = relations.frame(
        store.engine.query(
            f"""SELECT account_id, max(org_id) AS told FROM {store.relation("requests", days)}
            WHERE org_id IN ({names}) GROUP BY account_id""",
            of="organisations of the logs",
        )
    )
    return account_facts.join(log_orgs, on="account_id", how="full", coalesce=True).select(
        "account_id", pl.coalesce("org_id", "told").alias("org_id"), "program"
    )


def exempted(store: Store, config: Config, day: date, *, accounts: str | None = None) -> dict[str, Exemption]:
    """Account -> what exempts it on ``day``; ``accounts`` as for ``facts``."""
    return exemptions(facts(store, config, day, accounts=accounts), config, day)


def settings_changed(store: Store, config: Config) -> date | None:
    """The newest day run, if it was decided with other settings than ``config`` has for it; else None.

    Days of older releases did not note their settings: they count as decided with the defaults.
    """
    ran = store.engine.query(
        f"SELECT day, config_digest FROM {store.relation('runs')} ORDER BY day DESC LIMIT 1", of="runs"
    ).to_pylist()
    if not ran or ran[0]["day"] not in store.days("requests"):
        return None
    day: date = ran[0]["day"]
    return day if (ran[0]["config_digest"] or Config().digest(day)) != config.digest(day) else None


def _newest_day(store: Store) -> date | None:
    return max((*store.days("runs"), *store.days("requests")), default=None)


def of_accounts(store: Store, config: Config, accounts: Collection[str]) -> list[dict[str, Any]]:
    """Exemptions of ``accounts`` as of the newest day, and the expired entries that name one of them."""
    day = _newest_day(store)
    if day is None:
        return []
    state = "acting" if settings_changed(store, config) is None else "waiting"
    rows = [
        {**asdict(e), "state": state} for name, e in exempted(store, config, day).items() if name in accounts
    ]
    acting = {row["account_id"] for row in rows}
    rows += [
        {
            "account_id": entry.account_id,
            "by": "account",
            "name": entry.account_id,
            "until": entry.expires,
            "reason": entry.reason,
            "state": "expired",
        }
        for entry in config.allow
        if entry.expires < day and entry.account_id in accounts and entry.account_id not in acting
    ]
    return rows


def idle_entries(store: Store, config: Config, *, expired: bool = True) -> list[str]:
    """Entries of the allow-list that do nothing, in words: of nobody the lake knows, or (``expired``) over."""
    if not config.allow:
        return []
    day = _newest_day(store)
    if day is None:
        return []
    sentences = []
    for entry in config.allow:
        name = (
            f"account {show_id(entry.account_id)}"
            if entry.account_id
            else f"organisation {show_id(entry.org_id)}"
        )
        if entry.expires < day:
            if not expired:
                continue
            sentences.append(
                f"the allow-list entry of {name} expired on {entry.expires}: it no longer acts "
                f"(reason it was made for: {clean(entry.reason, 120)})"
            )
        elif not _known(store, entry.account_id, entry.org_id):
            sentences.append(
                f"the allow-list entry of {name} fits no account of the lake: is the id written as in the logs?"
            )
    return sentences


def _known(store: Store, account: str | None, org: str | None) -> bool:
    wanted = [f"{c} = {literal(v)}" for c, v in (("account_id", account), ("org_id", org)) if v]
    which = " OR ".join(wanted)
    return any(
        store.engine.query(f"SELECT 1 FROM {store.relation(table)} WHERE {which} LIMIT 1", of=table).num_rows
        for table in ("accounts", "requests")
    )


def spared(
    groups: pl.DataFrame, accounts: pl.DataFrame, members: pl.DataFrame, exempt: Mapping[str, Exemption]
) -> dict[tuple[str, str], str]:
    """(subject_type, subject_id) -> why nothing is alerted of it, of all that would be an alert otherwise."""
    accused = accounts.filter(pl.col("peak_verdict") == "alert").select("account_id", "verdict")
    reasons: dict[tuple[str, str], str] = {}
    for name in accused.filter(pl.col("verdict") != "alert")["account_id"]:
        if name in exempt:
            reasons["account", name] = clean(exempt[name].words(), 300)
    inside = members.select("account_id", "group_id").join(accused, on="account_id")
    for name, some in inside.group_by("group_id").agg("account_id").sort("group_id").iter_rows():
        if all(("account", account) in reasons for account in some):
            reasons["group", name] = f"all of its accused accounts are exempted: {listed(some, exempt)}"
    gone = dict(
        groups.filter(pl.col("successor_id").is_not_null()).select("group_id", "successor_id").iter_rows()
    )
    for name, heir in gone.items():
        if ("group", heir) in reasons:
            reasons.setdefault(
                ("group", name), f"merged into group {show_id(heir)}, of which {reasons['group', heir]}"
            )
    return reasons


def withheld(
    accounts: pl.DataFrame,
    members: pl.DataFrame,
    exempt: Mapping[str, Exemption],
    spared_now: Mapping[tuple[str, str], str],
) -> dict[tuple[str, str], str]:
    """``spared_now``, and why an alert of a group may be missing of whose accused accounts only some are exempted."""
    accused = accounts.filter(pl.col("peak_verdict") == "alert").select("account_id")
    inside = members.filter(pl.col("account_id").is_in(list(exempt))).join(accused, on="account_id")
    some = inside.group_by("group_id").agg("account_id").sort("group_id").iter_rows()
    partly = {("group", g): f"accused accounts of it are exempted: {listed(a, exempt)}" for g, a in some}
    return {**partly, **spared_now}


def listed(accounts: Iterable[str], exempt: Mapping[str, Exemption]) -> str:
    """The exempted ones among ``accounts`` with their entries, cut after some."""
    words = sorted(f"{show_id(a)} ({exempt[a].words()})" for a in accounts if a in exempt)
    more = f" and {len(words) - _NAMED:,} more" if len(words) > _NAMED else ""
    return "; ".join(clean(w, 200) for w in words[:_NAMED]) + more
