"""How much a node does a second."""

from respcache.rates import SAMPLES, Rates, Totals


def test_rates_are_differences_over_time() -> None:
    """None yet with fewer than two samples."""
    rates = Rates()
    assert rates.commands_per_s == 0
    rates.sample(10.0, Totals(commands=100, input_bytes=0, output_bytes=50))
    assert rates.commands_per_s == 0
    rates.sample(12.0, Totals(commands=300, input_bytes=10, output_bytes=50))
    assert (rates.commands_per_s, rates.input_bytes_per_s, rates.output_bytes_per_s) == (100, 5, 0)


def test_the_past_is_forgotten() -> None:
    """Only the last samples count."""
    rates = Rates()
    rates.sample(0.0, Totals(0, 0, 0))
    for number in range(SAMPLES):
        rates.sample(1.0 + number, Totals(1000, 0, 0))
    assert rates.commands_per_s == 0


def test_counts_that_begin_anew_give_no_negative_rates() -> None:
    """CONFIG RESETSTAT takes the totals back to nothing."""
    rates = Rates()
    rates.sample(0.0, Totals(1000, 1000, 1000))
    rates.sample(1.0, Totals(0, 0, 0))
    rates.sample(2.0, Totals(5, 0, 0))
    assert rates.commands_per_s == 5
