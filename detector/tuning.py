"""Numbers that were chosen, not learned: what links, scores and decisions turn on, in one place.

Each has its unit and its reason. ``[half: x, one and a half: y]`` is how far the average precision of the account score
moves when the number alone is half as large, and one and a half times as large: ``python -m benchmarks.sensitivity
--accounts 250 --days 2 --levels 2``, one world of evasion level 2 with an average precision of .69, so that a tenth either
way may be chance. A number without brackets was not measured. Sizes of slices that work is done in change no result and
stand where they are used.
"""

from __future__ import annotations

# --- Hubs: from how many holders on a key says nothing of them (``link.uses``) -----------------------------------------

#: A link (card, exit, client, hours) that more than this share of the accounts holds (0..1), or than this number where
#: that is more: a carrier or a campus. A site of 800 accounts or fewer is asked for the number alone.
#: LINK_HOLDERS [half: +.03, one and a half: -.11]
LINK_SHARE, LINK_HOLDERS = 0.05, 40
#: The same where *any* link between two holders of a text counts (0..1): of many holders some meet at the larger hubs.
TEMPLATE_LINK_SHARE = 0.03
#: Text that more than this share of the accounts holds (0..1), or than this number, is not compared: it is language.
SIMILAR_TEXT_SHARE, SIMILAR_TEXT_HOLDERS = 0.1, 2
#: Fewest accounts on a text for it to be judged as a scaffold: two may meet by chance.
TEMPLATE_HOLDERS = 3

# --- Co-occurrence: pairs of keys (``link.cooccurrence``) --------------------------------------------------------------

#: Keys of an account kept per family and octave of holders: correlated keys (the lines of one scaffold)
#: have like numbers of holders, so a few of each octave speak for all.
PER_OCTAVE = 2
#: Least ratio of holders of a pair to what chance gives. 8: at most one holder in eight is there by chance.
#: [half: .00, one and a half: .00]
MIN_LIFT = 8.0
#: Accidental pairs expected among all pairs of two families' keys that could be tried in one run. An accident
#: joins two or three accounts; groups start at ``GROUP_MEMBERS`` and still have to be scored.
FALSE_PAIRS = 1.0
#: Share of a key's holders that must hold it in an improbable pair before the key joins all of them (0..1).
CONFIRMED = 0.7
#: An account is taken in when the chance that it does not belong is at most this (0..1) ...
MAY_STAY_OUT = 0.15
#: ... by keys of which the group holds at least this share (0..1).
OWNED_FROM = 0.7
#: ... counted as if so many strangers held each key as well: small keys meet by chance.
STRANGERS = 2.0
#: A member bound by keys is pruned where its membership is less probable than this (0..1).
#: [half: .00, one and a half: -.17]
KEYED_MEMBERSHIP = 0.9
#: Probability of a false member that evidence anybody can copy, or strangers share, leaves about a member, at least (0..1).
COPIED_UNSURE = 0.4
#: Share of random-walk steps that may leave a community before it is joined to its neighbour (0..1).
MAX_LEAK = 0.2
#: Fewest accounts that are called a group.
GROUP_MEMBERS = 3
#: A component larger than this (accounts) is searched for communities.
COMMUNITY_FROM = 12

# --- Similarity: accounts that ask alike (``link.similarity``) ---------------------------------------------------------

#: Distinct prompts among all under a key, at least (0..1): text that comes with every repeat is a form.
LEAST_DISTINCT = 0.8
#: An account whose prompts others sent word by word in more than this share is left out: copies prove
#: nothing, and copying somebody's prompts is how he is framed.
MOST_COPIED = 0.5
#: How much more a key counts under which all prompts ask for training data (a factor, less one).
ASKED = 4.0
#: How much each bit of agreeing links raises a similarity (share a bit).
LINK_GAIN = 0.2
#: Keys of an account looked at, the weightiest first.
SIMILAR_KEYS = 400
#: Holders of a key that are compared with one another.
#: [half: .00, one and a half: .00]
SIMILAR_BUCKET = 256
#: Nearest neighbours kept, and candidates for them.
NEAREST, NEAREST_CANDIDATES = 15, 40
#: Accounts a community of the neighbour graph spans at most, about; larger ones are put together again.
#: [half: -.14, one and a half: -.08]
SPAN = 150
#: Two communities are one when their members are alike across nearly as much as within (0..1).
ALIKE_ACROSS = 0.7
#: Keys that stand for a community when communities are compared.
MARKS = 64
#: Fewest accounts, and organisations, of a community of text: more than of a group, since text binds less than keys.
SIMILAR_MEMBERS, SIMILAR_ORGANISATIONS = 4, 3
#: Share of an account's nearest in its community below which a group does not take it in (0..1).
SIMILAR_MEMBERSHIP = 0.3

# --- Rings: communities of suspects (``link.communities``) -------------------------------------------------------------

#: Log-odds from which an account is a suspect (bits): likelier than not.
SUSPECT_FROM = 0.0
#: Bits that the keys of one family may say of two suspects, at most: links, and text, of which there is more.
#: RING_TEXT_BITS [half: .00, one and a half: .00]
RING_LINK_BITS, RING_TEXT_BITS = 12.0, 20.0
#: Suspects on one key that are joined with one another; more are dealt into buckets. Fewer than for similarity: suspects
#: who share a key agree nearly always, so that a bucket of them hangs together.
RING_BUCKET = 128
#: Pairs of suspects that are looked at, at most about: beyond, buckets are smaller, down to ``RING_LEAST_BUCKET``. They
#: make a ring as well, since everybody is dealt anew at each key.
RING_PAIRS, RING_LEAST_BUCKET = 30_000_000, 8
#: Pieces of a dealt crowd are one where they share so much of what either shares within itself (0..1).
REJOINED = 0.5

# --- Tracking: groups keep their names (``link.tracking``) -------------------------------------------------------------

#: Share of the smaller side that must be common for a community to continue a group (0..1).
CONTINUES = 0.3
#: Share of a group's members that must turn up in another's community for the two to merge (0..1).
MERGES = 0.5
#: Members of a suspect and of a clear group that a community must hold to be cut in two.
LEAST_PART = 3

# --- Scores (``score``) ------------------------------------------------------------------------------------------------

#: Content keys a request leaves, about: turns a sum over keys into a number of requests.
KEYS_A_REQUEST = 20.0
#: Holders of the site's own rate that every key is given beside its own.
#: [half: +.04, one and a half: +.01]
PSEUDO_HOLDERS = 3.0
#: Least rate of suspects on a site (0..1): against it a single one is news.
LEAST_RATE = 1e-4
#: What a spoofable bond may add to an account's own log-odds at most (bits).
SPOOFABLE_BITS = 2.0
#: A group contributes little to a member of which fewer bits than this can be shown (``why``): about two
#: keys that hardly anybody else holds. What a reviewer cannot be shown accuses nobody.
LEAST_EVIDENCE = 3.0
#: A group contributes no more than so many bits above the relational score of the account.
GROUP_ABOVE = 2.0
#: Evidence of harvest in one account's own conduct counts in full up to this many bits, a quarter beyond: the
#: cross-fitted training worlds held no more attackers per honest account at +3 bits than at 0 among accounts
#: that no group explained. An evaluator or a pipeline may look the part; only strangers who act as one do not.
DISCOUNT_FROM, DISCOUNT_SLOPE = -3.0, 0.25

# --- Decisions (``decide``) --------------------------------------------------------------------------------------------

#: A member of a group worth a look that is less likely of the operation than this is pruned (0..1).
LEAST_SURE = 0.5
#: The alert budget is kept over so many days: what one night leaves, another may spend. A small site's budget of one
#: night is less than the doubt that the surest group leaves.
BUDGET_DAYS = 7
