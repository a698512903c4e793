"""Every table of the lake: columns, partition, who writes it.

One table has one writer. Tables partitioned by day are swapped whole when their day is run again;
state tables hold, in each day's partition, everything known at the end of that day, so the newest
partition is the present.
"""

from __future__ import annotations

from functools import cache

from detector.lake.tables.declared import ACCOUNT, DAY, GROUP
from detector.lake.tables.declared import Table as Table
from detector.lake.tables.deliver import DELIVERED
from detector.lake.tables.ingest import ACCOUNTS as ACCOUNTS
from detector.lake.tables.ingest import INGESTED
from detector.lake.tables.run import COMPUTED
from features import plugins


@cache
def tables() -> dict[str, Table]:
    """Every table by name; those of plug-in grains get their columns from the plug-ins found."""
    by_name = {t.name: t for t in (*INGESTED, *COMPUTED, *DELIVERED)}
    by_name["account_days"] = Table(
        "account_days",
        "measurements of accounts, one row an account and day",
        (DAY, ACCOUNT, *plugins.columns("account")),
        "day",
        "run",
    )
    by_name["group_days"] = Table(
        "group_days",
        "measurements of groups, one row a group and day",
        (DAY, GROUP, *plugins.columns("group")),
        "day",
        "run",
    )
    return by_name
