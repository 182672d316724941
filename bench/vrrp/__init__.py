"""vrrpd beside real keepalived, the same files in the same run: `python -m bench.vrrp`.

    failovers   how long until the other node has the address, for each way to lose the master
    resources   memory, start-up, CPU at idle and punctuality with 1, 20 and 255 virtual routers
    limit       how many adverts a second each keeps on time
    flood       what 50,000 forged adverts a second do

Both programs run in network namespaces that the tests' netlab makes, so nothing of the host is touched.
"""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[2] / "tests" / "vrrpd"), str(Path(__file__).parents[2] / "tests")]
