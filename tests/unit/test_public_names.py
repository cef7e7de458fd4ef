"""What `import respcache` offers."""

import subprocess
import sys

import pytest

import respcache


@pytest.mark.parametrize("name", sorted(set(respcache.__all__) - {"__version__"}))
def test_each_public_name_is_there_and_says_what_it_is(name: str) -> None:
    """It comes from where the package keeps it, has a docstring, and is listed."""
    found = getattr(respcache, name)
    assert found.__name__ == name
    assert found.__doc__
    assert name in dir(respcache)


def test_a_name_that_is_not_public_is_an_attribute_error() -> None:
    """As with any module."""
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        respcache.nonsense  # noqa: B018 # that is what is tested


def test_importing_the_package_does_not_import_a_node() -> None:
    """A pytest run that has the plugin installed and does not use it pays for no more than that."""
    program = "import sys, respcache; assert not {'respcache.node', 'asyncio', 'msgspec'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", program], check=True)
