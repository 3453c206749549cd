"""Which policy played, how fast it might react, and what it did: in every document of its player."""

from __future__ import annotations

from gym_p2p.core.record.policy import PolicyRecord
from tests.core.record.records import documents, new_record, played, policy_facts


def test_without_a_policy_there_is_none_in_the_documents() -> None:
    for document in documents(played(new_record())).values():
        assert document["policies"] == []


def test_every_document_has_each_policy_with_what_it_did() -> None:
    record = played(new_record())
    record.policies.append(
        PolicyRecord(facts=policy_facts(), decisions=90, changes=7, held_back=3, illegal=1)
    )
    record.policies.append(
        PolicyRecord(
            facts=policy_facts(seat="right", policy="random", kind="random", sha256=None, algorithm=None)
        )
    )
    for document in documents(record).values():
        first, second = document["policies"]
        assert first == {
            "seat": "left",
            "policy": "sb3:PPO:partner.zip",
            "kind": "sb3",
            "sha256": "0f" * 32,
            "algorithm": "PPO",
            "reactionMs": 200.0,
            "actionsPerS": 4.0,
            "fps": 30.0,
            "decisions": 90,
            "changes": 7,
            "heldBack": 3,
            "illegal": 1,
        }
        assert (second["seat"], second["policy"], second["decisions"]) == ("right", "random", 0)
