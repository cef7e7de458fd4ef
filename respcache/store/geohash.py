"""Places on the earth as 52-bit geohashes, the scores by which Redis keeps them in sorted sets. Pure.

A geohash halves the world again and again, longitude and latitude in turn (G. Niemeyer,
2008): the first 2n bits name a box, of which the whole world has 4 ** n, and all places in
a box have scores next to each other. Latitudes end at those of the Mercator projection
(EPSG:3857), distances are great circles on a sphere. Angles are in degrees, distances in metres.
"""

import math
from dataclasses import dataclass
from typing import Final

LONGITUDE_MAX: Final = 180.0
LATITUDE_MAX: Final = 85.05112878
STEPS: Final = 26
"""How often a score halves the world, each way."""
EARTH_RADIUS_M: Final = 6372797.560856
"""The mean radius that Redis takes."""
MERCATOR_MAX_M: Final = 20037726.37
"""Half of the width of the projected world."""
ALPHABET: Final = b"0123456789bcdefghjkmnpqrstuvwxyz"
"""Of the texts that geohash.org and others use, 5 bits a letter."""
TEXT_LETTERS: Final = 10
"""Letters that 52 bits fill; an eleventh has always been a zero."""
UINT32: Final = 2**32 - 1
UINT64: Final = 2**64 - 1
_SPREADS: Final = (
    (16, 0x0000FFFF0000FFFF),
    (8, 0x00FF00FF00FF00FF),
    (4, 0x0F0F0F0F0F0F0F0F),
    (2, 0x3333333333333333),
    (1, 0x5555555555555555),
)


@dataclass(frozen=True, slots=True)
class Place:
    """A point on the earth."""

    longitude: float
    latitude: float


@dataclass(frozen=True, slots=True)
class Box:
    """All places whose geohash begins with the same bits; `x` and `y` count boxes from the south-west corner."""

    x: int
    y: int
    steps: int
    """How often the world was halved, each way: 1 to 26."""

    @property
    def scores(self) -> tuple[int, int]:
        """The least score in it, and the one behind the greatest."""
        bits, shift = interleave(self.y, self.x), 2 * (STEPS - self.steps)
        return bits << shift, (bits + 1) << shift

    @property
    def west(self) -> float:
        """Where it begins."""
        return edge(self.x, self.steps, LONGITUDE_MAX)

    @property
    def east(self) -> float:
        """Where it ends."""
        return edge(self.x + 1, self.steps, LONGITUDE_MAX)

    @property
    def south(self) -> float:
        """Where it begins."""
        return edge(self.y, self.steps, LATITUDE_MAX)

    @property
    def north(self) -> float:
        """Where it ends."""
        return edge(self.y + 1, self.steps, LATITUDE_MAX)

    def neighbour(self, east: int, north: int) -> "Box":
        """Give the box so many further on; the world is round both ways, as the bits are."""
        across = (1 << self.steps) - 1
        # A box beyond the last one, that of 180 degrees, keeps its bits as long as it does not move that way.
        x = (self.x + east) & across if east else self.x
        y = (self.y + north) & across if north else self.y
        return Box(x, y, self.steps)


def edge(number: int, steps: int, most: float) -> float:
    """Give the degrees at which a row of boxes begins, where all of them go from -most to most."""
    return -most + number / (1 << steps) * (most + most)


def box_of(place: Place, steps: int, *, latitude_max: float = LATITUDE_MAX) -> Box:
    """Find the box that a place is in."""
    across = 1 << steps
    x = int((place.longitude + LONGITUDE_MAX) / (LONGITUDE_MAX + LONGITUDE_MAX) * across)
    y = int((place.latitude + latitude_max) / (latitude_max + latitude_max) * across)
    return Box(x, y, steps)


def score_of(place: Place) -> int:
    """Give the score of a place within the limits, 52 bits; 54 on the limits themselves."""
    return box_of(place, STEPS).scores[0]


def place_of(score: float) -> Place:
    """Give the middle of what has a score; for any score, for members need not have been added as places."""
    y, x = separate(_unsigned(score))
    longitude = (edge(x, STEPS, LONGITUDE_MAX) + edge((x + 1) & UINT32, STEPS, LONGITUDE_MAX)) / 2
    latitude = (edge(y, STEPS, LATITUDE_MAX) + edge((y + 1) & UINT32, STEPS, LATITUDE_MAX)) / 2
    return Place(
        min(max(longitude, -LONGITUDE_MAX), LONGITUDE_MAX),
        min(max(latitude, -LATITUDE_MAX), LATITUDE_MAX),
    )


def text_of(place: Place) -> bytes:
    """Write a place as other programs do: their latitudes go on to the poles."""
    bits = box_of(place, STEPS, latitude_max=90.0).scores[0]
    shifts = range(2 * STEPS - 5, -1, -5)
    return bytes(ALPHABET[bits >> shift & 31] for shift in shifts) + ALPHABET[:1]


def distance_m(one: Place, other: Place) -> float:
    """Measure the way between two places, by the haversine formula."""
    across = math.sin((math.radians(other.longitude) - math.radians(one.longitude)) / 2)
    if across == 0:
        return along_m(one.latitude, other.latitude)
    latitude, other_latitude = math.radians(one.latitude), math.radians(other.latitude)
    up = math.sin((other_latitude - latitude) / 2)
    chord = up * up + math.cos(latitude) * math.cos(other_latitude) * across * across
    return 2.0 * EARTH_RADIUS_M * math.asin(min(1.0, math.sqrt(chord)))


def along_m(latitude: float, other: float) -> float:
    """Measure the way between two latitudes, along a meridian."""
    return EARTH_RADIUS_M * abs(math.radians(other) - math.radians(latitude))


def interleave(even: int, odd: int) -> int:
    """Put two numbers of 32 bits into one, the bits of the first at its even positions."""
    return _spread(even) | _spread(odd) << 1


def separate(bits: int) -> tuple[int, int]:
    """Take two numbers that were interleaved apart again."""
    return _gathered(bits), _gathered(bits >> 1)


def _spread(number: int) -> int:
    for shift, mask in _SPREADS:
        number = (number | number << shift) & mask
    return number


def _gathered(bits: int) -> int:
    shift = 0
    for further, mask in reversed(_SPREADS):
        bits = (bits | bits >> shift) & mask
        shift = further
    return (bits | bits >> shift) & UINT32


def _unsigned(score: float) -> int:
    """Cut a score to 64 bits without a sign, as x86 does with what does not fit."""
    if math.isinf(score) or not -(2.0**63) <= score < 2.0**64:
        return 0 if score > 0 else 2**63
    return int(score) & UINT64
