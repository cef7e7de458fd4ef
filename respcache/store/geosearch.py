"""Which members of a sorted set are within a circle or rectangle on the earth. Pure.

The scores of places that are near each other have first bits in common: a search goes
through the box around its middle, and the eight boxes around that, each one range of scores.
The boxes are as small as they can be while nine of them cover what is searched.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

from respcache.store.geohash import (
    EARTH_RADIUS_M,
    MERCATOR_MAX_M,
    STEPS,
    Box,
    Place,
    along_m,
    box_of,
    distance_m,
    place_of,
)
from respcache.store.ranking import RUN, Entry, Ranking
from respcache.store.sorted_sets import SortedSet

RADIAN: Final = math.pi / 180.0
"""Radians of a degree."""
NORTHERLY: Final = (66, 80)
"""Latitudes beyond which the boxes are so narrow that the next larger ones are taken, each."""
AROUND: Final = ((0, 0), (0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1))
"""The boxes in the order in which Redis goes through them: (east, north)."""


@dataclass(frozen=True, slots=True)
class Circle:
    """All places up to `radius_m` from the middle."""

    radius_m: float

    @property
    def half_width_m(self) -> float:
        """How far it reaches east and west."""
        return self.radius_m

    @property
    def half_height_m(self) -> float:
        """How far it reaches north and south."""
        return self.radius_m

    @property
    def reach_m(self) -> float:
        """How far its furthest place is from the middle."""
        return self.radius_m

    def distance_m(self, middle: Place, place: Place) -> float | None:
        """Measure how far a place is from the middle; None if it is outside."""
        distance = distance_m(middle, place)
        return None if distance > self.radius_m else distance


@dataclass(frozen=True, slots=True)
class Rectangle:
    """All places up to half of `width_m` east or west, and half of `height_m` north or south of the middle."""

    width_m: float
    height_m: float

    @property
    def half_width_m(self) -> float:
        """How far it reaches east and west."""
        return self.width_m / 2

    @property
    def half_height_m(self) -> float:
        """How far it reaches north and south."""
        return self.height_m / 2

    @property
    def reach_m(self) -> float:
        """How far its corners are from the middle."""
        return math.sqrt(self.half_width_m * self.half_width_m + self.half_height_m * self.half_height_m)

    def distance_m(self, middle: Place, place: Place) -> float | None:
        """Measure how far a place is from the middle; None if it is outside."""
        if along_m(place.latitude, middle.latitude) > self.half_height_m:
            return None
        if distance_m(place, Place(middle.longitude, place.latitude)) > self.half_width_m:
            return None
        return distance_m(middle, place)


Shape: TypeAlias = Circle | Rectangle


@dataclass(frozen=True, slots=True)
class Found:
    """A member within the shape."""

    member: bytes
    score: float
    place: Place
    distance_m: float


def search(members: SortedSet, middle: Place, shape: Shape, *, most: int = 0) -> list[Found]:
    """List the members within a shape, box by box and by score; with `most`, any so many of them."""
    found: list[Found] = []
    before: Box | None = None
    for number, box in enumerate(boxes(middle, shape)):
        if box is None or box == before:
            continue  # where there are two boxes across, the next one to the east is that to the west
        before = box if number else None
        least, end = box.scores
        for score, member in _between(members.ranking, float(least), float(end)):
            place = place_of(score)
            distance = shape.distance_m(middle, place)
            if distance is not None:
                found.append(Found(member, score, place, distance))
                if len(found) == most:
                    return found
    return found


def _between(ranking: Ranking, least: float, end: float) -> Iterator[Entry]:
    """Go through the entries of a range of scores, listing a few at a time: few may be wanted."""
    first, behind = ranking.rank(least), ranking.rank(end)
    for start in range(first, behind, RUN):
        yield from ranking.slice(start, min(start + RUN, behind) - 1)


def boxes(middle: Place, shape: Shape) -> list[Box | None]:
    """List the boxes that cover a shape, the middle one first; None for one that it does not reach."""
    west, south, east, north = _bounds(middle, shape)
    steps = _steps(shape.reach_m, middle.latitude)
    box = box_of(middle, steps)
    covered = (
        box.neighbour(0, 1).north >= north
        and box.neighbour(0, -1).south <= south
        and box.neighbour(1, 0).east >= east
        and box.neighbour(-1, 0).west <= west
    )
    if steps > 1 and not covered:
        steps -= 1
        box = box_of(middle, steps)
    if steps == 1:
        return [box.neighbour(*to) for to in AROUND]
    ends_west, ends_east = box.west < west, box.east > east
    ends_south, ends_north = box.south < south, box.north > north
    return [
        None
        if (to_east < 0 and ends_west)
        or (to_east > 0 and ends_east)
        or (to_north < 0 and ends_south)
        or (to_north > 0 and ends_north)
        else box.neighbour(to_east, to_north)
        for to_east, to_north in AROUND
    ]


def _steps(reach_m: float, latitude: float) -> int:
    """Estimate how often the world can be halved so that nine boxes cover a circle."""
    if reach_m == 0:
        return STEPS
    steps = -1
    while reach_m < MERCATOR_MAX_M:
        reach_m *= 2
        steps += 1
    steps -= sum(abs(latitude) > limit for limit in NORTHERLY)
    return min(max(steps, 1), STEPS)


def _bounds(middle: Place, shape: Shape) -> tuple[float, float, float, float]:
    """Give the degrees in the west, south, east and north where a shape ends; beyond the poles they make no sense."""
    up = shape.half_height_m / EARTH_RADIUS_M / RADIAN
    # A degree of longitude is shortest on the side of the shape that is nearer to the pole.
    latitude = middle.latitude - up if middle.latitude < 0 else middle.latitude + up
    narrowing = math.cos(math.radians(latitude)) if math.isfinite(latitude) else math.nan
    across = shape.half_width_m / EARTH_RADIUS_M / narrowing / RADIAN if narrowing else math.inf
    return middle.longitude - across, middle.latitude - up, middle.longitude + across, middle.latitude + up
