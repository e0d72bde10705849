"""The checklist of a control API, row by row, and the tests that prove each row.

The rows follow the OWASP API Top 10 and what a trading desk adds to it. A proof that is renamed or gone
fails here, so that no row is left without one.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

from tests.api.kit import Kit
from tradingd import messages as m
from tradingd.api.audit import verify
from tradingd.api.auth import Access
from tradingd.api.routes import ROUTES
from tradingd.config import ConfigError, load

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"
MOCK = ROOT / "config/mock.toml"

CHECKLIST: dict[int, tuple[str, tuple[str, ...]]] = {
    1: ("it listens on a unix socket with peer check and on loopback, nowhere else", (
        "api/test_listening.py::test_checklist_01_exactly_the_api_and_the_simulator_listen_and_on_loopback_only",
        "api/test_hostile.py::test_fault_92_only_loopback_can_be_bound",
        "api/test_roles.py::test_the_owner_of_the_socket_operates_without_a_token",
    )),
    2: ("a foreign Host, Origin, Referer or site is refused before routing, no CORS", (
        "api/test_hostile.py::test_fault_86_a_foreign_host_or_page_is_refused_even_with_the_token",
        "api/test_hostile.py::test_no_answer_invites_another_page",
    )),
    3: ("only POST with JSON and a bearer token changes anything", (
        "api/test_roles.py::test_a_get_never_changes_anything",
        "api/test_roles.py::test_other_methods_are_refused_with_what_is_allowed",
        "api/test_hostile.py::test_fault_86_only_json_commands",
    )),
    4: ("tokens of 256 bits kept as digests, compared in constant time; resuming is harder than halting", (
        "api/test_roles.py::test_tokens_are_kept_as_digests_and_live_without_their_files",
        "api/test_checklist.py::test_checklist_04_every_digest_is_compared_whole_and_in_constant_time",
        "api/test_commands.py::test_resuming_is_harder_than_halting",
    )),
    5: ("every route times every role; unknown routes answer 404", (
        "api/test_roles.py::test_fault_85_a_route_answers_its_roles_and_no_other",
        "api/test_roles.py::test_unknown_routes_answer_a_code_and_nothing_else",
    )),
    6: ("ids are checked against our own orders, and a manual order passes the gate", (
        "api/test_commands.py::test_only_our_own_working_orders_can_be_canceled",
        "api/test_commands.py::test_an_order_passes_the_gate_and_its_verdict_is_the_answer",
    )),
    7: ("strict schemas, exact decimals, bounded length and depth", (
        "api/test_hostile.py::test_fault_90_hostile_bodies_are_refused_at_the_door",
        "api/test_hostile.py::test_fault_90_hostile_json_is_refused_at_the_door",
        "api/test_openapi.py::test_every_route_documents_who_may_and_what_may_go_wrong",
    )),
    8: ("caps on body, headers, time, connections, calls and guesses; never before the socket's halt", (
        "api/test_hostile.py::test_fault_88_a_huge_body_is_refused_told_or_not",
        "api/test_hostile.py::test_headers_have_a_size",
        "api/test_hostile.py::test_fault_88_who_speaks_too_slowly_is_hung_up_on",
        "api/test_hostile.py::test_fault_88_connections_are_counted_and_the_socket_has_its_own",
        "api/test_hostile.py::test_commands_are_rationed_and_told_when_to_come_again",
        "api/test_hostile.py::test_fault_87_guessing_ends_in_a_lockout_that_never_stands_before_a_halt",
        "api/test_hostile.py::test_the_socket_is_never_locked_out",
    )),
    9: ("a flood does not delay the loop that trades", (
        "api/test_hostile.py::test_fault_87_a_flood_does_not_hold_the_loop",
    )),
    10: ("no address is taken from a caller; webhooks are fixed in the configuration, with TLS", (
        "api/test_checklist.py::test_checklist_10_no_caller_names_an_address_or_a_path",
        "api/test_checklist.py::test_checklist_10_webhooks_leave_this_machine_with_tls_only",
    )),
    11: ("what broker and market send is checked, capped, and redirects are not followed with keys", (
        "runtime/test_network.py::test_a_redirect_is_handed_back_not_followed",
        "runtime/test_network.py::test_a_reply_without_end_is_cut_off",
        "faults/test_faults_of_connections.py::test_fault_08_a_bad_certificate_is_refused_and_nothing_goes_in_the_clear",
        "faults/test_faults_of_orders.py::test_fault_17_a_reply_that_proves_nothing_makes_one_order_and_no_rejection",
    )),
    12: ("an append-only chained row before the action, refusals included; alerts on resume and on guessing", (
        "api/test_commands.py::test_every_command_is_on_record_before_it_acts_with_its_result",
        "api/test_checklist.py::test_fault_85_a_call_without_the_right_is_on_record_and_does_nothing",
        "api/test_audit.py::test_a_row_taken_out_shows",
        "api/test_audit.py::test_a_changed_field_shows",
        "notify/test_rules.py::test_what_the_house_says_leads_to_alerts",
    )),
    13: ("a request id counts once and in its time; a halt may be asked again", (
        "api/test_commands.py::test_a_request_counts_once_and_only_in_its_time",
        "api/test_commands.py::test_a_halt_is_latched_when_it_answers_and_may_be_asked_again",
    )),
    14: ("an error carries a code and a request id, and nothing of the inside", (
        "api/test_roles.py::test_unknown_routes_answer_a_code_and_nothing_else",
        "api/test_hostile.py::test_what_is_no_http_gets_a_code_and_none_of_the_parsers_words",
    )),
    15: ("secrets come from credentials in live mode and stand in no output", (
        "config/test_config.py::test_live_refuses_keys_from_the_environment",
        "config/test_config.py::test_secrets_show_as_stars_everywhere",
        "observability/test_logs.py::test_fault_91_a_secret_is_masked_in_every_place_and_form",
        "api/test_hostile.py::test_fault_91_secrets_are_in_no_answer",
        "app/test_run.py::test_fault_91_no_secret_is_written_anywhere",
        "notify/test_run.py::test_no_address_is_written_anywhere",
    )),
    16: ("keys of each environment apart, and a drill of their rotation", (
        "config/test_config.py::test_fault_79_keys_endpoints_and_modes_that_disagree_are_refused",
        "systemd/test_process.py::test_fault_84_keys_are_read_at_a_start_and_only_then",
        "app/test_daemon_trouble.py::test_fault_84_keys_revoked_while_it_waits_halt_it_and_it_stays_visible",
    )),
    17: ("a scrape needs a token, names no account, and its labels are bounded", (
        "api/test_listening.py::test_fault_92_a_scrape_needs_a_token_and_names_no_account",
        "observability/test_metrics.py::test_memory_of_orders_is_bounded",
        "views/test_system_view.py::test_the_view_is_bounded_whatever_comes",
    )),
    18: ("installed by hashes only, held against the lock, and live runs the build that was examined", (
        "systemd/test_compromised.py::test_fault_93_every_line_of_a_lock_pins_one_version_by_its_hashes",
        "systemd/test_compromised.py::test_fault_93_every_installation_asks_for_the_hashes",
        "app/preflight/test_machine.py::test_packages_are_held_against_the_lock",
        "app/preflight/test_passed.py::test_another_configuration_build_or_account_needs_its_own",
    )),
    19: ("state for its owner alone, configuration for root alone, or no start", (
        "app/preflight/test_guarded.py::test_checklist_19_a_service_that_owns_its_limits_ends_with_78_and_a_remedy",
        "app/preflight/test_guarded.py::test_checklist_19_a_state_folder_open_to_others_is_refused",
        "app/preflight/test_guarded.py::test_checklist_19_an_order_log_open_to_others_is_refused",
        "app/test_run.py::test_the_state_is_for_its_owner_only",
    )),
    20: ("a fuzzer with the schema, a slow client, a rebinding page and the role table, on every change", (
        "api/test_openapi.py::test_a_fuzzer_finds_nothing_in_what_is_read",
        "api/test_openapi.py::test_a_fuzzer_finds_nothing_in_what_is_commanded",
        "api/test_hostile.py::test_fault_88_who_speaks_too_slowly_is_hung_up_on",
        "api/test_hostile.py::test_fault_86_a_foreign_host_or_page_is_refused_even_with_the_token",
        "api/test_roles.py::test_fault_85_a_route_answers_its_roles_and_no_other",
    )),
}  # fmt: skip
"""Row -> what it asks, and what proves it."""


def names_in(file: Path) -> set[str]:
    tree = ast.parse(file.read_text())
    return {
        each.name for each in tree.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def test_the_checklist_has_all_its_rows() -> None:
    assert list(CHECKLIST) == list(range(1, 21))


@pytest.mark.parametrize("row", CHECKLIST)
def test_every_row_of_the_checklist_has_proofs_that_exist(row: int) -> None:
    for proof in CHECKLIST[row][1]:
        file, _, name = proof.partition("::")
        assert name in names_in(TESTS / file), f"row {row}: {proof}"


@pytest.mark.parametrize("fault", range(85, 94))
def test_every_hostile_fault_has_a_test_of_its_number(fault: int) -> None:
    folders = (TESTS / "api", TESTS / "systemd")
    names = set().union(*(names_in(f) for folder in folders for f in folder.glob("test_*.py")))
    assert [name for name in names if name.startswith(f"test_fault_{fault}_")]


async def test_fault_85_a_call_without_the_right_is_on_record_and_does_nothing(kit: Kit) -> None:
    why = {"reason": "test"}
    assert (await kit.call("POST", "/api/control/resume", Access.READ, body=why))[0] == 403
    assert (await kit.call("POST", "/api/control/flatten", None, body=why))[0] == 401
    assert (await kit.call("GET", "/api/orders", None))[0] == 401
    rows = (kit.folder / "audit.jsonl").read_text().splitlines()
    assert len(rows) == verify(kit.folder / "audit.jsonl").rows == 3
    for row, path in zip(rows, ("resume", "flatten", "orders"), strict=True):
        assert '"phase":"refused"' in row
        assert path in row
    assert not kit.published(m.OperatorAsked)


async def test_checklist_04_every_digest_is_compared_whole_and_in_constant_time(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    import hmac

    compared: list[tuple[bytes, bytes]] = []
    honest = hmac.compare_digest

    def noted(shown: bytes, kept: bytes) -> bool:
        compared.append((shown, kept))
        return honest(shown, kept)

    monkeypatch.setattr("tradingd.api.auth.hmac.compare_digest", noted)
    await kit.call("GET", "/api/health", Access.READ)
    hits = len(compared)
    await kit.call("GET", "/api/health", None, headers={"Authorization": "Bearer wrong"})
    assert hits == len(compared) - hits == 3, "as long for a wrong token as for a right one"
    assert all(len(shown) == len(kept) == 32 for shown, kept in compared)


def test_checklist_10_no_caller_names_an_address_or_a_path() -> None:
    fields: set[str] = set()
    for route in ROUTES:
        if route.body is not None:
            fields |= set(route.body.__struct_fields__)
    assert fields
    assert not {field for field in fields for value in ("url", "host", "path", "file", "address") if value in field}  # fmt: skip


@pytest.mark.parametrize(
    ("address", "is_fine"),
    [
        ("jsons://hooks.example.org/x", True),
        ("json://127.0.0.1:9000/x", True),
        ("json://hooks.example.org/x", False),
        ("form://hooks.example.org/x", False),
        ("xml://10.0.0.5/x", False),
    ],
)
def test_checklist_10_webhooks_leave_this_machine_with_tls_only(
    address: str, *, is_fine: bool
) -> None:
    environ: dict[str, Any] = {
        "TRADINGD_NOTIFY__URLS__PHONE": address,
        "TRADINGD_NOTIFY__ROUTES": '[{ channels = ["file", "phone"] }]',
    }
    if is_fine:
        assert load(MOCK, environ, None).notify.urls["phone"].reveal() == address
        return
    with pytest.raises(ConfigError, match="in the clear") as refused:
        load(MOCK, environ, None)
    assert address not in str(refused.value), "an address is a secret, also a wrong one"
