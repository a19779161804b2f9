"""What the app's pages share. Only this package, `pages/` and `app.py` import Streamlit."""
