"""Which byte strings are integers, as Redis sees it. Pure."""


def is_int64(text: bytes) -> bool:
    """Tell whether text is the one way to write a signed 64-bit integer."""
    digits = text[1:] if text[:1] == b"-" else text
    if not digits.isdigit() or (digits[0] == ord("0") and text != b"0"):
        return False
    return len(text) < INT64_SURE_DIGITS or -(2**63) <= int(text) < 2**63


INT64_SURE_DIGITS = 19
"""Shorter texts are within 64 bits whatever their digits."""
