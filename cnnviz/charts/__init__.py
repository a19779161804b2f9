"""Charts: a data frame in, a Plotly figure out. Nothing here knows torch or Streamlit."""
