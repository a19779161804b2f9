"""Everything the app keeps between reruns: all of its ``st.cache_*`` is in this room."""

import torch

from cnnviz.settings import cpu_threads

# The app shares the machine with the runs it starts.
torch.set_num_threads(cpu_threads())
