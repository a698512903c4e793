"""Client addresses in one spelling, with their network: /24 for IPv4, /48 for IPv6.

A log writes the same address as ``192.0.2.7``, ``192.0.2.7:443``, ``::ffff:192.0.2.7`` or
``[2001:db8::1%eth0]:443``; hashed as written they would be strangers to one another.
"""

from __future__ import annotations

import ipaddress

import polars as pl

#: Dotted quads without leading zeros need no parsing.
_QUAD = r"^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3}(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)$"


def addresses(values: pl.Series) -> pl.DataFrame:
    """``ip`` and ``prefix`` (both text) for each value; NULL for what is no address.

    Loopback and unspecified addresses say nothing about a client and are NULL too.
    """
    text = pl.col("raw")
    plain = pl.DataFrame({"raw": values.cast(pl.String)}).select(
        text,
        pl.when(text.str.contains(_QUAD)).then(text).alias("ip"),
    )
    odd = plain.filter(pl.col("ip").is_null() & text.is_not_null())["raw"].unique()
    read = [_parse(value) for value in odd]
    known = dict(zip(odd, read, strict=True))
    ip = (
        plain.select(
            pl.coalesce("ip", text.replace_strict(odd, pl.Series(read, dtype=pl.String), default=None)).alias(
                "ip"
            )
        )
        if known
        else plain.select("ip")
    )
    # No colon: a dotted quad, as nothing else gets so far.
    v4 = pl.when(~pl.col("ip").str.contains(":", literal=True)).then(
        pl.col("ip").str.strip_chars_end("0123456789")
    )
    return ip.with_columns(
        pl.when(v4.str.starts_with("127.") | (pl.col("ip") == "0.0.0.0"))
        .then(None)
        .otherwise("ip")
        .alias("ip")
    ).with_columns(
        pl.when(pl.col("ip").is_not_null()).then(pl.coalesce(v4 + "0/24", _prefix6(ip["ip"]))).alias("prefix")
    )


def _prefix6(ips: pl.Series) -> pl.Expr:
    six = ips.filter(ips.str.contains(":", literal=True)).unique().drop_nulls()
    if not len(six):
        return pl.lit(None, pl.String)
    networks = [str(ipaddress.ip_network((value, 48), strict=False)) for value in six]
    return pl.col("ip").replace_strict(six, pl.Series(networks, dtype=pl.String), default=None)


def _parse(raw: str) -> str | None:
    value = raw.strip()
    if value.startswith("["):
        value = value[1:].partition("]")[0]
    elif value.count(":") == 1:
        value = value.partition(":")[0]
    try:
        found = ipaddress.ip_address(value.partition("%")[0])
    except ValueError:
        return None
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped:
            found = found.ipv4_mapped
        elif found.is_loopback or found.is_unspecified:
            return None
    return str(found)


def forwarded(value: object, trusted_hops: int) -> str | None:
    """The client's address in an ``x-forwarded-for`` list, or a single address as it stands.

    A client can write what it likes at the list's start; with ``trusted_hops`` proxies of one's own that append, the
    address that many places left of the last was written by the first of them. None: nothing there.
    """
    if not isinstance(value, str):
        return None
    if "," not in value:
        return value.strip() or None
    hops = [hop for part in value.split(",") if (hop := part.strip()) and hop != "-"]
    return hops[max(len(hops) - 1 - trusted_hops, 0)] if hops else None


def is_address(value: str) -> bool:
    """Whether a text is an address, a port or zone aside."""
    return _parse(value) is not None
