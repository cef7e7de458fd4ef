"""What a node shows of itself: every exported metric, and the status page's content.

The rest of the program counts in plain integers and knows nothing of Prometheus. Here
they are read, once a scrape:

    Sources --snapshot--> Snapshot --catalogue--> samples --exposition--> text

`sources` says what is needed of a node, `catalogue` declares all metrics in one place,
`collector` makes Prometheus' families of them, `exposition` the text in pieces, and
`reference` the page of the documentation. `readiness` says whether clients should be sent here.
"""

from respcache.metrics.catalogue import CATALOGUE
from respcache.metrics.collector import NodeCollector, registry_of
from respcache.metrics.exposition import Exposition, expose
from respcache.metrics.lag import LoopLag
from respcache.metrics.readiness import Preparation, Readiness
from respcache.metrics.sources import Sources
from respcache.metrics.status import status_of

__all__ = [
    "CATALOGUE",
    "Exposition",
    "LoopLag",
    "NodeCollector",
    "Preparation",
    "Readiness",
    "Sources",
    "expose",
    "registry_of",
    "status_of",
]
