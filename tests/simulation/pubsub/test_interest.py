"""What nodes know of each other's clients, and which settings they share, is right again once the network is."""

from respcache.pubsub.audience import Kind
from simulation.pubsub.world import World
from simulation.replay import each_seed


@each_seed(60)
def test_all_nodes_know_who_listens_once_the_links_stand(seed: int) -> None:
    """After subscriptions, broken links, restarts, messages out of order and of former links: exactly the truth."""
    world = World(seed, nodes=2 + seed % 3)
    world.storm(1500)
    world.settle()

    for name, node in world.nodes.items():
        for kind in Kind:
            known = {known: audience.peers for known, audience in node.exchange.audiences.tables[kind].items()}
            truth = {
                known: {other for other in world.nodes if other != name and (kind, known) in world.nodes[other].names}
                for other in world.nodes.values()
                for of_kind, known in other.names
                if of_kind is kind
            }
            assert known == truth, f"{name} is wrong about {kind.name}"


@each_seed(30)
def test_all_nodes_go_by_the_same_settings_once_the_links_stand(seed: int) -> None:
    """Whoever chose last, and whatever was lost on the way; those that have been started again, too."""
    world = World(seed, nodes=2 + seed % 3)
    world.storm(1500)
    known = {choice for node in world.nodes.values() for choice in node.exchange.choices.told()}
    last = {name: max(choice[1:] for choice in known if choice[0] == name) for name, *_ in known}
    world.settle()

    assert last
    for node in world.nodes.values():
        assert {name: (unix_ms, value) for name, unix_ms, value in node.exchange.choices.told()} == last
        assert node.settings == {name: value for name, (_, value) in last.items()}


@each_seed(20)
def test_every_reply_comes_in_the_end(seed: int) -> None:
    """Whatever was lost on the way: no client waits for ever."""
    world = World(seed, nodes=3)
    world.storm(1500)
    world.settle()
    for node in world.nodes.values():
        node.exchange.sweep(1e6, 5.0)
        node.exchange.sweep(2e6, 5.0)
    assert world.replies
    assert all(reply.wire is not None for _, reply in world.replies)


def test_the_storms_are_storms() -> None:
    """Some links were cut because of what came over them."""
    worlds = [World(seed, nodes=3) for seed in range(10)]
    for world in worlds:
        world.storm(1500)
    assert sum(world.out_of_step for world in worlds) > 10
