"""Runs a short soak; `make soak` runs the long one."""

from __future__ import annotations

import pytest

from tests.soak import soak

pytestmark = pytest.mark.slow


def test_faults_cause_no_wrong_result():
    report = soak(calls=1200, seed=20260101)
    assert report.wrong == []
    assert report.calls == 1200
    failing_share = 1 - (report.faults["none"] + report.faults["rotation"]) / sum(report.faults.values())
    assert 0.25 < failing_share < 0.35
    assert report.accepted > 400
    assert report.orders > 150
    assert {"SignatureError", "TransportError", "ServerError", "AuthenticationError"} <= set(report.errors)
