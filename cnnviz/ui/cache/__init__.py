"""Everything the app keeps between reruns: all of its ``st.cache_*`` is in this room."""
