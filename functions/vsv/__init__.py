"""The domain that all functions share; it imports nothing of HTTP or Lambda."""

import os

# numpy loads OpenBLAS, which starts one thread per core, and these threads spin for a while: that takes a third of
# numpy's import time, on the cores that are needed to decode tiles. The domain multiplies small matrices at most.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
