"""Makes histories of clients, in order or with a fault planted in them, from a seed."""

import random
from dataclasses import dataclass, field, replace

from simulation.linearizability import Kind, Operation, Outcome, State, effect

MEAN_S = 0.001
"""How long an operation takes, about."""


@dataclass(slots=True)
class Register:
    """One key that does one thing at a time, and the clients that use it concurrently.

    Each operation takes effect at a moment of its own; around it lie its invocation, its
    return, and other operations.
    """

    rng: random.Random
    key: bytes = b"key"
    clients: int = 4
    uncertain_share: float = 0.05
    uncertain_kinds: tuple[Kind, ...] = tuple(Kind)
    """Kinds of which the outcome may be uncertain."""
    state: State = None
    now_s: float = 1.0
    history: list[Operation] = field(default_factory=list)
    _count: int = 0
    _free_at_s: list[float] = field(default_factory=list)
    _late: list[Operation] = field(default_factory=list)
    """Uncertain operations that are still to take effect."""

    def __post_init__(self) -> None:
        """All clients are free."""
        self._free_at_s = [self.now_s] * self.clients

    def run(self, operations: int, *, kinds: tuple[Kind, ...] = tuple(Kind)) -> None:
        """Let clients do something, each one thing at a time."""
        for _ in range(operations):
            client = min(range(self.clients), key=self._free_at_s.__getitem__)
            self.now_s = effect_s = max(self.now_s, self._free_at_s[client]) + self.rng.expovariate(1 / MEAN_S)
            self._catch_up()
            invoked_s = self.rng.uniform(self._free_at_s[client], effect_s)
            operation = self._draw(kinds, invoked_s, f"c{client}")
            if operation.kind in self.uncertain_kinds and self.rng.random() < self.uncertain_share:
                self.history.append(replace(operation, outcome=Outcome.UNCERTAIN, returned_s=effect_s))
                if self.rng.random() < 0.6:
                    self._late.append(operation)
                self._free_at_s[client] = effect_s
                continue
            result, self.state = effect(operation, self.state)
            returned_s = effect_s + self.rng.expovariate(1 / MEAN_S)
            self.history.append(replace(operation, result=result, returned_s=returned_s))
            self._free_at_s[client] = returned_s

    def rest(self) -> None:
        """Let all that is under way end, and the uncertain take effect."""
        for late in self._late:
            _, self.state = effect(late, self.state)
        self._late.clear()
        self.now_s = max(self.now_s, *self._free_at_s) + MEAN_S
        self._free_at_s = [self.now_s] * self.clients

    def alone(self, kind: Kind, argument: bytes = b"", *, claims: object = ..., does: bool = True) -> Operation:
        """Do one operation while nothing else goes on; it may claim a false result, or lie about having been done."""
        self.rest()
        operation = Operation(self.key, kind, self.now_s, self.now_s + MEAN_S, argument=argument, client="planted")
        result, after = effect(operation, self.state)
        if does:
            self.state = after
        if claims is not ...:
            assert claims is None or isinstance(claims, bytes | int | bool)
            result = claims
        operation = replace(operation, result=result)
        self.history.append(operation)
        self.now_s += 2 * MEAN_S
        self._free_at_s = [self.now_s] * self.clients
        return operation

    def _catch_up(self) -> None:
        """Let some of the uncertain operations take effect now."""
        for late in list(self._late):
            if self.rng.random() < 0.3:
                self._late.remove(late)
                _, self.state = effect(late, self.state)

    def _draw(self, kinds: tuple[Kind, ...], invoked_s: float, client: str) -> Operation:
        self._count += 1
        kind = self.rng.choice(kinds)
        argument = {Kind.READ: b"", Kind.DELETE: b"", Kind.INCR: b"%d" % self.rng.randint(1, 3)}.get(
            kind, b"%d" % (1000 * self._count)
        )
        expected = None
        if kind is Kind.CAS:
            expected = self.state if self.rng.random() < 0.5 else b"other"
        return Operation(self.key, kind, invoked_s, 0.0, argument=argument, expected=expected, client=client)
