"""The domain that all functions share; it knows no HTTP and no Lambda."""

import os

# numpy brings OpenBLAS, which starts a thread for each core as it is loaded, and these spin for a while: a third of
# numpy's import, on the cores that are to decode tiles. Matrices are not multiplied here, or small ones.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
