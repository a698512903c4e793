"""``sample_logs/``: one small log in each format and one labelled world, all of them synthetic."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

from detector.lab.worlds.formats import WRITERS, rows_of
from detector.lab.worlds.world import WorldSpec, make_world, write_world

#: Seeds used for nothing else: tests use seeds from 900000 on, and training uses seeds below 100000.
FORMATS_SEED = 500_001
WORLD_SEED = 500_002

FORMATS = WorldSpec(
    seed=FORMATS_SEED, days=1, honest_accounts=90, attacker_share=0.1, evasion_level=1, requests=620, release=False,
    archetypes=("chat_user", "developer", "student", "multilingual", "app_builder", "pipeline", "family"),
    campaigns=("cot_rubric",),
)  # fmt: skip
WORLD = WorldSpec(
    seed=WORLD_SEED, days=5, honest_accounts=700, attacker_share=0.04, evasion_level=1, requests=19_500, ban_rate=0.08,
    campaigns=("cot_rubric", "software_engineering_long"),
)  # fmt: skip
#: Requests in each of the small logs.
PER_FORMAT = 200

README = """# Sample logs

All of this is synthetic. `detector/lab/worlds` (function `samples.make_samples`) generated it; it contains no real
traffic. Addresses are from private, carrier-shared or documentation ranges. Prompts are composed of phrases written
for this project.

## formats/
One small log per input format, the same {n} requests in each:

| file | format |
|---|---|
| `native-requests.jsonl`, `native-requests.csv` | native: canonical names |
| `otel-spans.jsonl.gz` | OpenTelemetry GenAI spans, present generation (OTLP/JSON lines) |
| `otel-spans-before-1.37.jsonl.gz` | the same, names used before 1.37 |
| `otel-log-events.jsonl.gz` | OpenTelemetry GenAI log events |
| `litellm-spend-logs.jsonl` | LiteLLM `SpendLogs` rows, prompts stored |
| `litellm-standard-logging-payload.jsonl` | LiteLLM callback records |
| `bedrock-model-invocations.jsonl` | Amazon Bedrock model-invocation log (no addresses) |
| `envoy-ai-gateway-access.jsonl` | Envoy AI Gateway access log (no text) |

## world/
Five days of a small provider: about 700 honest accounts of every kind the simulator knows (classrooms, teams, an
enterprise, a hackathon, evaluators, judges, pipelines, resellers by contract, ...) and two harvesting campaigns on
evasion level 1, one asking for reasoning and grades, one for software engineering.

* `logs/` is what an operator has: `requests-*.jsonl.gz`, `accounts.jsonl`, `account_events.jsonl`,
  `model_releases.jsonl`. Give this folder to `hydrawatch ingest`.
* `truth.csv` is what only the simulator knows: `label`, `kind`, `campaign`, `group`, `archetype` of every account.
  `truth_requests.csv.gz` lists the requests sent for a campaign. Keep both away from the detector.
* `world.json` holds the specification and counts.

Seeds {a} and {b} are used for nothing else. Seeds of 900000 and above are for tests and reports only, never for
training or tuning; training seeds are below 100000.
"""


def make_samples(out: Path) -> None:
    """Write all of ``sample_logs`` under ``out``, with the same bytes every time."""
    for part in ("formats", "world"):
        shutil.rmtree(out / part, ignore_errors=True)
    (out / "formats").mkdir(parents=True)
    rows = rows_of(make_world(FORMATS).requests.head(PER_FORMAT))
    for name, writer in WRITERS.items():
        data = "".join(writer(rows)).encode()
        packed = gzip.compress(data, compresslevel=9, mtime=0) if name.endswith(".gz") else data
        (out / "formats" / name).write_bytes(packed)
    write_world(make_world(WORLD), out / "world", level=9)
    (out / "README.md").write_text(README.format(n=PER_FORMAT, a=FORMATS_SEED, b=WORLD_SEED))
