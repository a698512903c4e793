"""Sites that log one word in place of every prompt: nobody shares content for it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from detector import pipeline
from detector.config import Config
from detector.ingest.ingestion import ingest
from detector.lake.store import Store

KEY = b"a key for tests only, 32 bytes.."


def requests(prompts: list[str | None]) -> str:
    lines = [
        json.dumps(
            {
                "request_id": f"r-{n}-{hour}",
                "ts": f"2026-03-02T{hour:02d}:{n % 60:02d}:00Z",
                "account_id": f"acct-{n}",
                "model": "m",
                "source_ip": f"192.0.2.{n}",
                "prompt": prompt,
            }
        )
        for n, prompt in enumerate(prompts)
        for hour in range(9, 12)
    ]
    return "\n".join(lines) + "\n"


def run(folder: Path, prompts: list[str | None]) -> tuple[list[tuple[str, str]], int, int]:
    """What the run skipped, how many accounts have measured prompts, how many ties of content there are."""
    log = folder / "requests.jsonl"
    log.write_text(requests(prompts))
    with Store(folder / "lake") as store:
        ingest([log], store, key=KEY)
        report = pipeline.run_day(
            store, store.days("requests")[0], config=Config(), detector=pipeline.load_detector()
        )
        n = store.engine.query(
            f"SELECT count(template_similarity_score) AS n FROM {store.relation('account_days')}"
        ).to_pylist()[0]["n"]
        ties = store.engine.query(
            f"SELECT count(*) AS n FROM {store.relation('ties')} WHERE family = 'content'"
        ).to_pylist()[0]["n"]
    return list(report.skipped), n, ties


@pytest.mark.parametrize(
    "word",
    [
        "redacted-by-litellm",
        "[REDACTED]",
        "<content removed>",
        "xx logging is off at acme xx",
        "(hidden: 4711 chars)",
    ],
)
def test_a_word_that_stands_for_every_prompt_is_no_content(tmp_path: Path, word: str) -> None:
    skipped, _, ties = run(tmp_path, [word] * 24)
    assert ties == 0
    assert skipped


def test_a_prompt_that_most_accounts_do_not_send_stays_content(tmp_path: Path) -> None:
    own = [f"a question of account {'abcdefghijklmnopqrstuvwx'[n]} about rivers and tides" for n in range(24)]
    shared = ["the very same prompt with words in it"] * 12
    skipped, _, ties = run(tmp_path, [*own[:12], *shared])
    assert ties > 0
    assert not [reason for name, reason in skipped if name == "content"]
