"""Client addresses in one spelling, with their network: /24 for IPv4, /48 for IPv6.

A log writes the same address as ``192.0.2.7``, ``192.0.2.7:443`` or ``::ffff:192.0.2.7``, and an IPv6 address as
``[2001:db8::1%eth0]:443``. Each spelling would have a hash of its own.
"""

from __future__ import annotations

import ipaddress

import polars as pl

#: Dotted quads without leading zeros need no parsing.
_QUAD = r"^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3}(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)$"


def addresses(values: pl.Series) -> pl.DataFrame:
    """``ip`` and ``prefix`` (both text) of each value; NULL where the value is no address.

    Loopback and unspecified addresses are NULL too, because they say nothing about a client.
    """
    text = pl.col("raw")
    plain = pl.DataFrame({"raw": values.cast(pl.String)}).select(
        text,
        pl.when(text.str.contains(_QUAD)).then(text).alias("ip"),
    )
    odd = plain.filter(pl.col("ip").is_null() & text.is_not_null())["raw"].unique()
    parsed = [_parse(value) for value in odd]
    ip = (
        plain.select(
            pl.coalesce(
                "ip", text.replace_strict(odd, pl.Series(parsed, dtype=pl.String), default=None)
            ).alias("ip")
        )
        if parsed
        else plain.select("ip")
    )
    # Only dotted quads have no colon here: everything else was parsed or dropped.
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
        address = ipaddress.ip_address(value.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            address = address.ipv4_mapped
        elif address.is_loopback or address.is_unspecified:
            return None
    return str(address)


def forwarded(value: object, trusted_hops: int) -> str | None:
    """The client's address in an ``x-forwarded-for`` list, or a single address unchanged; None if there is none.

    A client can write anything at the start of the list. Each of the site's ``trusted_hops`` proxies appends one
    address, so the one that many places before the last was written by the first of these proxies.
    """
    if not isinstance(value, str):
        return None
    if "," not in value:
        return value.strip() or None
    hops = [hop for part in value.split(",") if (hop := part.strip()) and hop != "-"]
    return hops[max(len(hops) - 1 - trusted_hops, 0)] if hops else None


def is_address(value: str) -> bool:
    """Whether a text is an address, with or without a port or a zone."""
    return _parse(value) is not None
