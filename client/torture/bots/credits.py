"""Counts credits in fractions: `n` times a tenth, and what people else count with. The truth is exact."""

from __future__ import annotations

from decimal import Decimal

from stage import Stage


def main() -> None:
    """Counts."""
    stage = Stage()
    reporter = stage.reporter(timed=False)
    reporter.start_session("1.0")
    for _ in range(stage.n):
        reporter.increment_credits_used(0.1)
    stage.count("credits_used", Decimal("0.1") * stage.n)
    for amount in (Decimal("0.000001"), Decimal("12.345678"), 1e-6, 2.5, 3, Decimal("1E-6"), 0.333333):
        reporter.increment_credits_used(amount)
        stage.count("credits_used", Decimal(str(amount)))
    stage.done(ended=reporter.complete_session(timeout=20))


main()
