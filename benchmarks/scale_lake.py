"""A lake of any size for measuring scale: requests and accounts written as ingest would leave them, without logs.

What counts here is who shares what with how many. Volumes, phrases, clients and addresses have heavy tails, so that some
keys are hubs: openings that a tenth of the site uses, carriers' addresses, the commonest client. Apps bring their system
prompt along, households and offices share a line, teams an organisation. A few operations share scaffolds, exits and
cards. Columns that no run reads (sketches, latencies' details) are left out. Figures of a site grow with its accounts, the
shares of its hubs stay.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from detector.lake.rows import arrow_schema
from detector.lake.store import Store
from detector.lake.tables import tables

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Keys = npt.NDArray[np.uint64]

START = date(2026, 3, 2)
#: Requests of an account and day, on average.
EACH = 1 / 0.15
#: Requests made in one go.
CHUNK = 200_000
#: Part of all accounts in one operation, and how many operations there are.
OPERATION, OPERATIONS = 0.001, 3
#: Content keys of a request: how many of each kind (``features.schema.CONTENT_KEY_KINDS``), and in how many of a hundred
#: it is a piece of common text (else it is the request's own).
TEXT = {1: (1, 60), 3: (1, 60), 2: (1, 20), 4: (1, 20), 5: (3, 12), 6: (8, 14), 7: (7, 4)}
#: Accounts in a hundred that use an app, which brings its system prompt along.
WITH_APP = 30


@dataclass(frozen=True)
class Site:
    """Facts of the accounts, an entry each; ``operation`` is -1 for honest ones."""

    seed: int
    share: Floats
    operation: Ints
    hour: Floats
    app: Ints
    client: Ints
    topic: Ints
    address: Ints
    second_address: Ints
    org: Ints
    card: Ints
    bin: Ints
    phrases: Floats

    @property
    def n(self) -> int:
        return len(self.share)


def zipf(size: int, slope: float) -> Floats:
    """Cumulative shares of the places of a bounded Zipf law."""
    weight = np.arange(1, size + 1) ** -slope
    return np.cumsum(weight) / weight.sum()


def drawn(rng: np.random.Generator, cumulated: Floats, n: int) -> Ints:
    """``n`` places of a law given by its cumulative shares."""
    return np.searchsorted(cumulated, rng.random(n)).astype(np.int64)


def make_site(accounts: int, seed: int) -> Site:
    """Draw the accounts of a site."""
    rng = np.random.default_rng([seed, accounts])
    weight = np.minimum(rng.pareto(1.3, accounts) + 0.3, 100.0)
    operation = np.full(accounts, -1, np.int64)
    size = max(int(OPERATION * accounts), 12)
    insiders = rng.permutation(accounts)[: size * OPERATIONS]
    operation[insiders] = np.arange(len(insiders)) // size
    weight[insiders] = 4.0
    # A third sits behind carriers and offices of very unequal size, the others on a line of their own.
    natted = rng.random(accounts) < 0.33
    address = np.where(
        natted, drawn(rng, zipf(max(accounts // 12, 4), 1.1), accounts), 10**7 + np.arange(accounts)
    )
    exits = 2 * 10**7 + operation * 10**4 + rng.integers(0, max(size // 8, 2), accounts)
    org = np.where(rng.random(accounts) < 0.15, rng.integers(0, max(accounts // 30, 2), accounts), -1)
    card = np.where(
        rng.random(accounts) < 0.03,
        rng.integers(0, max(accounts // 80, 2), accounts),
        10**7 + np.arange(accounts),
    )
    cards = 2 * 10**7 + operation * 10**4 + rng.integers(0, max(size // 10, 2), accounts)
    inside = operation >= 0
    return Site(
        seed=seed,
        share=np.cumsum(weight) / weight.sum(),
        operation=operation,
        hour=rng.uniform(0, 24, accounts),
        app=np.where(rng.random(accounts) < WITH_APP / 100, drawn(rng, zipf(400, 1.1), accounts), -1),
        client=drawn(rng, zipf(500, 1.2), accounts),
        topic=rng.integers(0, max(accounts // 400, 2), accounts),
        address=np.where(inside, exits, address),
        second_address=np.where(inside, exits, drawn(rng, zipf(max(accounts // 12, 4), 1.1), accounts)),
        org=np.where(inside, -1, org),
        card=np.where(inside, cards, card),
        bin=drawn(rng, zipf(3000, 1.0), accounts),
        phrases=zipf(max(20 * accounts, 1000), 1.05),
    )


def mixed(*parts: Ints | int) -> Keys:
    """One well-mixed 64-bit number of several (splitmix64, chained)."""
    state = np.uint64(0x9E3779B97F4A7C15)
    with np.errstate(over="ignore"):
        for part in parts:
            state = np.asarray(state ^ np.asarray(part).astype(np.uint64)) + np.uint64(0x9E3779B97F4A7C15)
            state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            state = state ^ (state >> np.uint64(31))
    return np.asarray(state, np.uint64)


def names(prefix: str, numbers: Ints, null: npt.NDArray[np.bool_] | None = None) -> pa.Array:
    """``prefix`` and the number of each, as text."""
    return pc.binary_join_element_wise(prefix, pc.cast(pa.array(numbers, mask=null), pa.string()), "")


def networks(address: Ints) -> pa.Array:
    """The network of each address: eight lines of one, none of them anybody's real one."""
    return names("198.18.", address // 8)


def account_rows(site: Site) -> pa.Table:
    """The table ``accounts``."""
    n = site.n
    rng = np.random.default_rng([site.seed, 1])
    number = np.arange(n)
    age = rng.exponential(200 * 86_400, n)
    batch = (site.operation >= 0) * 1.0
    created = np.datetime64(START, "s").astype(np.int64) - np.where(batch, 86_400 * (3 + rng.random(n)), age)
    custom = site.org >= 0
    return table_of(
        "accounts",
        n,
        account_id=names("u", number),
        org_id=names("o", site.org, site.org < 0),
        created_at=pa.array((created * 1e6).astype(np.int64), pa.timestamp("us")),
        payment_hash=names("c", site.card),
        payment_bin_hash=names("b", site.bin),
        email_domain_hash=names("m", np.where(custom, site.org, number % 8)),
        email_domain_class=pa.array(np.where(custom, "custom", "free")),
        signup_ip_hash=names("i", site.address),
        signup_ip_prefix=networks(site.address),
        pathway=pa.array(np.where(number % 7 == 0, "cloud", "api")),
        program=pa.array(np.full(n, "payg")),
        verified=pa.array(number % 3 == 0),
        status=pa.array(np.full(n, "active")),
        file_id=pa.array(np.full(n, "made")),
        line=pa.array(number),
    )


def table_of(table: str, n: int, /, **columns: pa.Array) -> pa.Table:
    """Rows of ``table``; columns not named are NULL."""
    schema = arrow_schema(tables()[table].columns)
    return pa.table(
        {f.name: columns[f.name].cast(f.type) if f.name in columns else pa.nulls(n, f.type) for f in schema}
    )


def day_rows(site: Site, day: int, first: int, n: int) -> pa.Table:
    """``n`` requests of a day, the first of them number ``first``."""
    rng = np.random.default_rng([site.seed, 2, day, first])
    who = drawn(rng, site.share, n)
    number = first + np.arange(n) + day * 10**10
    insider = site.operation[who] >= 0
    moment = _moments(site, who, day, rng)
    system, content, prompt, template = _texts(site, who, number, rng)
    asked = np.where(insider, rng.beta(5, 2, n), rng.beta(1, 14, n))
    address = np.where(rng.random(n) < 0.15, site.second_address[who], site.address[who])
    words = np.exp(rng.normal(3.2, 0.8, n)).astype(np.int64) + 8
    model = names("model-", (site.client[who] + rng.integers(0, 2, n)) % 6)
    made = START + timedelta(days=day)
    number_text = names("r", number)
    return table_of(
        "requests",
        n,
        request_id=number_text,
        ts=pa.array(
            (np.datetime64(made, "us").astype(np.int64) + moment * 1e6).astype(np.int64), pa.timestamp("us")
        ),
        day=pa.array([made]).take(pa.array(np.zeros(n, np.int64))),
        account_id=names("u", who),
        model=model,
        api_key_hash=names("k", who),
        ip_hash=names("i", address),
        ip_prefix=networks(address),
        asn=pa.array(64496 + address % 15),
        user_agent=names("client/", site.client[who]),
        ja4=names("t", site.client[who] % 60),
        pathway=pa.array(np.where(who % 7 == 0, "cloud", "api")),
        operation=pa.array(np.full(n, "chat")),
        turn=pa.array(rng.integers(1, 4, n)),
        session_hash=names("s", who * 100 + (moment // 3600).astype(np.int64)),
        input_tokens=pa.array(words * 2),
        output_tokens=pa.array(np.exp(rng.normal(5, 1, n)).astype(np.int64)),
        cached_tokens=pa.array(np.zeros(n, np.int64)),
        reasoning_tokens=pa.array(np.zeros(n, np.int64)),
        latency_ms=pa.array(np.round(300 + np.exp(rng.normal(7, 1, n)), 1)),
        status=pa.array(np.where(rng.random(n) < 0.03, 429, 200)),
        finish_reason=pa.array(np.where(rng.random(n) < 0.01, "refusal", "stop")),
        stream=pa.array(site.client[who] % 2 == 0),
        temperature=pa.array((site.client[who] % 10) / 10, mask=site.client[who] % 3 == 0),
        max_tokens=pa.array(512 * (1 + site.app[who] % 5)),
        n=pa.array(np.ones(n, np.int64)),
        tool_count=pa.array(np.maximum(site.app[who], 0) % 4),
        tools_hash=names("w", site.app[who], (site.app[who] < 0) | (site.app[who] % 4 == 0)),
        n_images=pa.array(np.zeros(n, np.int64)),
        prompt_chars=pa.array(words * 6),
        prompt_words=pa.array(words),
        prompt_lines=pa.array(words // 12 + 1),
        prompt_hash=pa.array(prompt),
        system_hash=pa.array(system, mask=system == 0),
        template_id=pa.array(template),
        content_keys=content,
        elicitation_score=pa.array(asked),
        elicit_cot=pa.array(asked * rng.random(n)),
        elicit_pairs=pa.array(asked * rng.random(n)),
        elicit_grading=pa.array(asked * rng.random(n)),
        elicit_rewrite=pa.array(asked * rng.random(n)),
        elicit_trace=pa.array(asked * rng.random(n)),
        capability=pa.array(
            np.array(["coding", "reasoning", "agentic", "data", "writing", "general"])[site.topic[who] % 6]
        ),
        language=pa.array(np.full(n, "en")),
        logit_probe=pa.array(np.zeros(n, bool)),
        file_id=pa.array([f"{day:032d}"]).take(pa.array(np.zeros(n, np.int64))),
        line=pa.array(first + np.arange(n) + 1),
    )


def _moments(site: Site, who: Ints, day: int, rng: np.random.Generator) -> Floats:
    """Seconds of the day: a few sittings an account and day, within its own waking hours."""
    sitting = rng.integers(0, 4, len(who))
    start = mixed(who, day, sitting) % np.uint64(12 * 3600)
    return (site.hour[who] * 3600 + start.astype(np.float64) + rng.uniform(0, 1800, len(who))) % 86_400


def _texts(
    site: Site, who: Ints, number: Ints, rng: np.random.Generator
) -> tuple[Keys, pa.Array, Keys, Keys]:
    """System hash (0: none), content keys, prompt hash and template of each request."""
    n = len(who)
    inside = site.operation[who] >= 0
    repeated = rng.random(n) < 0.08
    prompt = np.where(repeated, mixed(7, who, rng.integers(0, 3, n)), mixed(8, number))
    public = rng.random(n) < 0.02
    prompt = np.where(public, mixed(9, drawn(rng, zipf(2000, 1.0), n)), prompt)
    own = prompt.astype(np.int64)
    columns = [_kinded(prompt, 0)]
    scaffold = rng.integers(0, 6, n)
    for kind, (count, common) in TEXT.items():
        for place in range(count):
            # Half of common text is everybody's, half that of a field of interest.
            phrase = drawn(rng, site.phrases, n)
            topical = np.where(rng.random(n) < 0.5, site.topic[who] + 1, 0)
            phrase = np.where(topical > 0, phrase % 3000, phrase)
            shared = mixed(kind, phrase, topical)
            key = np.where((rng.random(n) < common / 100) & ~public, shared, mixed(kind, place, own))
            if place == 0 and kind != 7:
                key = np.where(inside, mixed(kind, 10**9 + site.operation[who], scaffold), key)
            columns.append(_kinded(key, kind))
    template = np.where(
        inside, mixed(10, site.operation[who], scaffold), np.where(rng.random(n) < 0.3, columns[1], prompt)
    )
    app = site.app[who]
    system = np.where(app >= 0, mixed(11, app), np.uint64(0))
    columns.append(_kinded(template, 10))
    systems = [_kinded(mixed(8, app), 8), *[_kinded(mixed(9, app, band), 9) for band in range(8)]]
    keys = np.stack([*columns, *systems], axis=1)
    held = np.ones(keys.shape, bool)
    held[app < 0, len(columns) :] = False
    offsets = np.r_[0, np.cumsum(held.sum(axis=1))]
    lists = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(keys[held]))
    return system, lists, prompt, template


def _kinded(key: Keys, kind: int) -> Keys:
    return (key & ~np.uint64(15)) | np.uint64(kind)


def make_lake(root: Path, requests: int, days: int, *, accounts: int | None = None, seed: int = 1) -> None:
    """Write a lake of ``requests`` a day at ``root``."""
    site = make_site(accounts or max(int(requests / EACH), 100), seed)
    with Store(root) as store:
        with store.transaction("ingest") as txn:
            txn.add("accounts", account_rows(site), part="made.parquet")
        for day in range(days):
            with store.transaction("ingest") as txn:
                for part, first in enumerate(range(0, requests, CHUNK)):
                    rows = day_rows(site, day, first, min(CHUNK, requests - first))
                    txn.add("requests", rows, day=START + timedelta(days=day), part=f"{part:04d}.parquet")


def main() -> None:
    """Write one lake."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("root", type=Path)
    parser.add_argument("--requests", type=int, default=20_000, help="a day")
    parser.add_argument("--accounts", type=int, default=None)
    parser.add_argument("--days", type=int, default=7)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    began = datetime.now()
    make_lake(chosen.root, chosen.requests, chosen.days, accounts=chosen.accounts, seed=chosen.seed)
    print(f"{chosen.requests:,} requests a day, {chosen.days} days: {datetime.now() - began}")


if __name__ == "__main__":
    main()
