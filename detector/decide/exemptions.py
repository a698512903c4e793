"""Who may be ``watch`` at most, by which entry or programme, and until when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import polars as pl

from detector.config import Allow, Config


@dataclass(frozen=True)
class Exemption:
    """One account's exemption. ``by``: account, organisation or programme; ``until`` None: no end is set."""

    account_id: str
    by: str
    name: str
    until: date | None
    reason: str

    def words(self) -> str:
        """The exemption in one clause; nothing in it is cleaned, as the reason is the operator's own."""
        if self.by == "programme":
            return f"its programme {self.name!r} resells by contract (partner_programs)"
        end = f" until {self.until}" if self.until else ""
        return f"allow-list entry of {self.by} {self.name}{end}: {self.reason}"


def exemptions(facts: pl.DataFrame, config: Config, day: date) -> dict[str, Exemption]:
    """Account -> what exempts it on ``day``; an entry of its own before one of its organisation, then programmes.

    ``facts``: account_id, org_id, program of the accounts known (NULL where not known). An account named by an
    entry is exempted whether or not anything is known of it.
    """
    live = sorted((a for a in config.allow if a.expires >= day), key=lambda a: a.expires)
    accounts = {a.account_id: a for a in live if a.account_id}
    orgs = {a.org_id: a for a in live if a.org_id}
    partners = [p.lower() for p in config.partner_programs]
    by_account = {name: _of("account", name, name, entry) for name, entry in accounts.items()}
    hit = facts.filter(
        pl.col("org_id").is_in(list(orgs)) | pl.col("program").str.to_lowercase().is_in(partners)
    )
    for name, org, program in hit.select("account_id", "org_id", "program").iter_rows():
        if name in by_account:
            continue
        if org in orgs:
            by_account[name] = _of("organisation", name, org, orgs[org])
        else:
            by_account[name] = Exemption(name, "programme", program, None, "resells by contract")
    return by_account


def _of(by: str, account: str, name: str, entry: Allow) -> Exemption:
    return Exemption(account, by, name, entry.expires, entry.reason)
