"""Fits and calibrates all models of the classifier on labelled measurements, scores cross-fitted over worlds.

Groups are formed without the classifier, so worlds are measured once. The group model sees its members' own
scores; those come from account models that never saw the world (cross-fitting), as they will in the field.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import polars as pl
from sklearn.metrics import average_precision_score, roc_auc_score

from detector.errors import ModelError
from detector.lab.ranking import recall_at
from detector.lab.training.crossfit import cross_fitted, fit_terms
from detector.lab.training.labelled import BONDS, FOLDS, Measured, SharedText, fold_of
from detector.lab.training.relational import KEYS, fit_relational, group_contribution_bits
from detector.score import additive, inputs, template_reuse
from detector.score.terms import ACCOUNT_TERMS, GROUP_TERMS, MEMBER_TERMS, SINGLE_ACCOUNT_TERMS

Floats = npt.NDArray[np.float64]

#: Attackers among the accounts of an ordinary site, and abusive among its groups (0..1): scores are
#: calibrated to these, not to the worlds' own richer share.
ACCOUNT_PRIOR = 0.01
SINGLE_ACCOUNT_PRIOR = 0.001
GROUP_PRIOR = 0.02
GROUP_PENALTY = 10.0
#: Kinds of abuse that one account commits alone.
SINGLE_ACCOUNT_KINDS = ("logit_extraction", "key_compromise", "key_sharing")
#: Keys of a world and day kept for fitting.
MOST_KEYS = 3_000
#: Honest account-days kept for fitting; the rest teach nothing new and cost memory.
MOST_HONEST = 60_000


def _fit_keys(text: Sequence[SharedText]) -> additive.Additive:
    """The model of shared text: is most of a key's holders one operation's?"""
    sampled = []
    for each in text:
        chance = min(1.0, MOST_KEYS / max(len(each.keys), 1))
        thin = (pl.col("code").hash(7) % 1000 < int(1000 * chance)) | (pl.col("share") >= 0.6)
        sampled.append(each.keys.filter(thin))
    frame = pl.concat(sampled)
    label = (frame["share"] >= 0.6).to_numpy()
    # A key of three with two attackers may be chance; one of thirty is not.
    weight = np.minimum(frame["holders"].to_numpy(), 20).astype(float)
    weight[label] *= 0.1 * weight[~label].sum() / max(weight[label].sum(), 1e-9)
    return additive.fit(
        {c: frame[c].cast(pl.Float64).fill_null(np.nan).to_numpy() for c in template_reuse.KEY_TERMS},
        label,
        rising=frozenset(c for c, d in template_reuse.KEY_TERMS.items() if d == "up"),
        weight=weight / weight.mean(),
        penalty=3.0,
    )


def _carried(model: additive.Additive, text: Sequence[SharedText]) -> pl.DataFrame:
    """What each account carries of suspicious text: world, day, account_id and template_reuse.ACCOUNT_COLUMNS."""
    made = []
    for each in text:
        bits = template_reuse.score_keys(model, each.keys.select("code", *template_reuse.KEY_TERMS))
        carried = template_reuse.account_template_reuse(
            each.incidence, each.keys["code"], bits, len(each.accounts)
        ).drop("account")
        made.append(
            carried.with_columns(
                pl.lit(each.world).alias("world"),
                pl.lit(each.day).alias("day"),
                each.accounts.alias("account_id"),
            )
        )
    return pl.concat(made)


def with_template_reuse(measured: Measured) -> tuple[Measured, additive.Additive]:
    """Account-days with cross-fitted scaffold columns, and the key model of all worlds."""
    made = []
    for fold in range(FOLDS):
        model = _fit_keys([t for t in measured.text if fold_of(t.world) != fold])
        held = [t for t in measured.text if fold_of(t.world) == fold]
        if held:
            made.append(_carried(model, held))
    carried = pl.concat(made)
    accounts = measured.accounts.join(
        carried, on=["world", "day", "account_id"], how="left", maintain_order="left"
    )
    return replace(measured, accounts=accounts), _fit_keys(measured.text)


def _account_sample(frame: pl.DataFrame) -> tuple[pl.DataFrame, Floats]:
    """All attacking account-days, honest ones thinned by hash, weighted back and each account counted alike."""
    honest = frame.filter(pl.col("label") == 0)
    keep = min(1.0, MOST_HONEST / max(len(honest), 1))
    thin = honest.filter(pl.struct("world", "account_id", "day").hash(0) % 10_000 < int(keep * 10_000))
    sample = pl.concat([thin, frame.filter(pl.col("label") == 1)])
    bad = (sample["label"] == 1).to_numpy()
    weight = np.where(bad, 1.0, len(honest) / max(len(thin), 1))
    # Attackers a tenth of the weight, whatever the worlds held: the prior is set by calibration.
    weight[bad] *= 0.1 * weight[~bad].sum() / max(weight[bad].sum(), 1e-9)
    return sample, weight / weight.mean()


def conduct_bits_cross_fitted(
    measured: Measured, terms: Mapping[str, str] = ACCOUNT_TERMS, *, lone: bool = False
) -> tuple[Floats, additive.Additive]:
    """Log-odds of every account-day from a model that never saw its world, and the model of all worlds.

    Of harvest, or of the ``lone`` kinds; attackers of the other sort teach neither side.
    """
    alone = pl.col("kind").is_in(SINGLE_ACCOUNT_KINDS).fill_null(False)
    of = pl.col("label") == 1
    frame = measured.accounts.with_columns(
        pl.when(of & (alone if not lone else ~alone)).then(None).otherwise("label").alias("label")
    )

    def fit(some: pl.DataFrame) -> additive.Additive:
        sample, weight = _account_sample(some)
        return fit_terms(sample, terms, weight, 3.0)

    out = cross_fitted(frame, fit)
    taught = frame["label"].is_not_null().to_numpy()
    model = additive.calibrate(
        fit(frame),
        out[taught],
        (frame["label"] == 1).fill_null(False).to_numpy()[taught],
        prior=SINGLE_ACCOUNT_PRIOR if lone else ACCOUNT_PRIOR,
    )
    return model.slope * out + model.shift, model


def _group_frame(measured: Measured, own: Floats) -> pl.DataFrame:
    bits = measured.accounts.select("world", "day", "account_id").with_columns(pl.Series("conduct_bits", own))
    made = []
    for (world, day), groups in measured.groups.group_by("world", "day", maintain_order=True):
        here = (pl.col("world") == world) & (pl.col("day") == day)
        made.append(
            inputs.group_columns(
                groups,
                measured.members.filter(here).select(BONDS),
                bits.filter(here).select("account_id", "conduct_bits"),
            )
        )
    return pl.concat(made)


def _fit_groups(groups: pl.DataFrame) -> tuple[Floats, additive.Additive]:
    """Cross-fitted log-odds of every group-day, not calibrated, and the calibrated model of all worlds."""

    def fit(some: pl.DataFrame) -> additive.Additive | None:
        y = some["label"].to_numpy()
        if not y.any():
            return None
        return fit_terms(some, GROUP_TERMS, np.where(y, 0.2 * (~y).sum() / y.sum(), 1.0), GROUP_PENALTY)

    bits, fitted = cross_fitted(groups, fit), fit(groups)
    if fitted is None:
        raise ModelError(
            "no training world has an abusive group",
            hint="train on more or larger worlds: --worlds, --accounts",
        )
    return bits, additive.calibrate(fitted, bits, groups["label"].to_numpy(), prior=GROUP_PRIOR)


def _absent(frame: pl.DataFrame, terms: Mapping[str, str]) -> list[str]:
    """Terms that a log without an input never measures."""
    return [t for t in terms if t not in frame.columns or frame[t].is_null().all()]


def fit_variant(measured: Measured, lacking: Measured) -> additive.Variant:
    """Models for logs that lack an input, fitted on worlds that lack it and on the others with it covered.

    Covered: what ``lacking`` never measured is NULL, and groups that similarity alone held together are gone.
    """
    absent = _absent(lacking.accounts, ACCOUNT_TERMS)
    of_groups = dict.fromkeys(
        [*_absent(lacking.groups, GROUP_TERMS), "keyed_similarity", "unkeyed_similarity"]
    )
    keyed = measured.members.filter((pl.col("bond") == "keys").any().over("world", "day", "group_id"))

    def covered(frame: pl.DataFrame, columns: Iterable[str]) -> pl.DataFrame:
        return frame.with_columns(
            pl.lit(None, frame.schema[c]).alias(c) for c in columns if c in frame.columns
        )

    both = Measured(
        pl.concat([covered(measured.accounts, absent), lacking.accounts], how="diagonal_relaxed"),
        pl.concat(
            [
                measured.groups.join(
                    keyed, on=["world", "day", "group_id"], how="semi", maintain_order="left"
                ),
                lacking.groups,
            ],
            how="diagonal_relaxed",
        ),
        pl.concat([keyed, lacking.members], how="diagonal_relaxed"),
        # Of the text that the others share nothing would be known.
        (*(replace(each, incidence=each.incidence.clear()) for each in measured.text), *lacking.text),
    )
    own, account = conduct_bits_cross_fitted(both)
    alone, _ = conduct_bits_cross_fitted(both, SINGLE_ACCOUNT_TERMS, lone=True)
    groups = covered(_group_frame(both, own), of_groups)
    bits, group = _fit_groups(groups)
    members, _, _ = _fit_members(both, groups, own)
    _, _, first, company = _fit_relational(both, own, alone, groups, bits, group, members)
    return additive.Variant(account, group, first, company, frozenset(absent))


def fit_detector(
    measured: Measured, trained_on: Mapping[str, object], lacking: Mapping[str, Measured] | None = None
) -> tuple[additive.Detector, dict[str, float]]:
    """Fit and calibrate all models; figures are of cross-fitted scores.

    ``lacking``: worlds without an input, by the input, for a variant each.
    """
    measured, key = with_template_reuse(measured)
    own, account = conduct_bits_cross_fitted(measured)
    alone, lone = conduct_bits_cross_fitted(measured, SINGLE_ACCOUNT_TERMS, lone=True)
    label = (measured.accounts["label"] == 1).to_numpy()
    groups = _group_frame(measured, own)
    y = groups["label"].to_numpy()
    bits, group = _fit_groups(groups)
    members, member, of_members = _fit_members(measured, groups, own)
    relational_bits, company, relational_first, kin = _fit_relational(
        measured, own, alone, groups, bits, group, members
    )
    variants = {name: fit_variant(measured, worlds) for name, worlds in (lacking or {}).items()}
    kinds = _fit_kinds(measured.accounts.filter(pl.col("label") == 1))
    is_single_account = measured.accounts["kind"].is_in(SINGLE_ACCOUNT_KINDS).fill_null(False).to_numpy()
    figures = {
        "account_days": float(len(label)),
        "group_days": float(len(y)),
        "bad_group_days": float(y.sum()),
        **_figures("account", label & ~is_single_account, own, label & is_single_account),
        **_figures("lone", label & is_single_account, alone, label & ~is_single_account),
        **of_members,
        **_figures("group", y, bits, np.zeros(len(y), bool)),
        **_figures("kin", (company["label"] == 1).to_numpy(), relational_bits, np.zeros(len(company), bool)),
    }
    detector = additive.Detector(
        key,
        account,
        lone,
        group,
        member,
        relational_first,
        kin,
        kinds={k: m for k, m in kinds.items() if k not in SINGLE_ACCOUNT_KINDS},
        single_account_kinds={k: m for k, m in kinds.items() if k in SINGLE_ACCOUNT_KINDS},
        trained_on={**trained_on, **figures},
        variants=variants,
    )
    return detector, figures


def _fit_members(
    measured: Measured, groups: pl.DataFrame, own: Floats
) -> tuple[pl.DataFrame, additive.Additive, dict[str, float]]:
    """All members with cross-fitted ``member_bits``, the model of who belongs, and its figures.

    Members of abusive groups teach it: who is of the operation, and who was swept in.
    """
    some = groups.select(
        "world", "day", "group_id", "mean_similarity", "mean_conduct_bits", pl.col("label").alias("bad")
    )
    bits = measured.accounts.select(*KEYS).with_columns(pl.Series("conduct_bits", own))
    made = []
    for (world, day), here in some.group_by("world", "day", maintain_order=True):
        of = (pl.col("world") == world) & (pl.col("day") == day)
        inside = measured.members.filter(of & pl.col("label").is_not_null()).join(
            here.select("group_id", "bad"), on="group_id", how="inner", maintain_order="left"
        )
        made.append(inputs.member_columns(inside, here, bits.filter(of).select("account_id", "conduct_bits")))
    frame = pl.concat(made, how="diagonal_relaxed").with_columns((pl.col("label") == 1).alias("label"))

    def fit(of: pl.DataFrame) -> additive.Additive | None:
        taught = of.filter("bad")
        return fit_terms(taught, MEMBER_TERMS, None, 3.0) if taught["label"].n_unique() == 2 else None

    bad = frame["bad"].to_numpy()
    label = frame["label"].to_numpy()[bad]
    figures = {"members_of_bad_groups": float(len(label)), "members_swept_in": float((~label).sum())}
    model = fit(frame)
    if model is None:
        return frame.with_columns(pl.lit(5.0).alias("member_bits")), additive.Additive((), base=5.0), figures
    out = cross_fitted(frame, fit)
    figures["member_auc"] = float(roc_auc_score(label, out[bad]))
    return frame.with_columns(pl.Series("member_bits", out)), model, figures


def _fit_relational(
    measured: Measured,
    own: Floats,
    alone: Floats,
    groups: pl.DataFrame,
    bits: Floats,
    group: additive.Additive,
    members: pl.DataFrame,
) -> tuple[Floats, pl.DataFrame, additive.Additive, additive.Additive]:
    """``kinship.fit_relational`` on cross-fitted scores of accounts (``own``, ``alone``), groups (``bits``) and members."""
    conduct = measured.accounts.select(*KEYS).with_columns(
        pl.Series("conduct_bits", additive.conduct_bits(own, alone)), pl.Series("harvest_bits", own)
    )
    judged = groups.select("world", "day", "group_id").with_columns(
        pl.Series("group_bits", group.slope * bits + group.shift)
    )
    rows = measured.accounts.select(*KEYS, "fold", "label").with_columns(conduct["harvest_bits"])
    lent = group_contribution_bits(members, judged, conduct)
    return fit_relational(
        rows.join(lent, on=KEYS, how="left", maintain_order="left"), measured.text, prior=ACCOUNT_PRIOR
    )


def _figures(
    name: str, label: npt.NDArray[np.bool_], bits: Floats, left_out: npt.NDArray[np.bool_]
) -> dict[str, float]:
    """How well scores tell; nothing where the worlds hold one class only."""
    label, bits = label[~left_out], bits[~left_out]
    if label.all() or not label.any():
        return {}
    return {
        f"{name}_auc": float(roc_auc_score(label, bits)),
        f"{name}_average_precision": float(average_precision_score(label, bits)),
        f"{name}_recall_at_0.001": recall_at(bits, label, 0.001),
    }


def _fit_kinds(bad: pl.DataFrame) -> dict[str, additive.Additive]:
    """One model a kind, each against the other kinds; a kind seen in fewer than two worlds gets none."""
    models = {}
    terms = dict.fromkeys(ACCOUNT_TERMS, "")
    for kind in sorted(set(bad["kind"])):
        frame = bad.with_columns((pl.col("kind") == kind).cast(pl.Int8).alias("label"))
        if frame.filter(pl.col("label") == 1)["world"].n_unique() < 2 or frame["label"].min() == 1:
            continue
        thinned = frame.filter(
            pl.struct("world", "account_id").hash(0) % 100 < max(2, 2_000_000 // max(len(frame), 1))
        )
        models[kind] = fit_terms(thinned, terms, None, 3.0)
    return models
