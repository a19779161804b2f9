import streamlit as st

from cnnviz import runs
from cnnviz.ui import panels, train_actions, train_queue, train_request, train_watch

panels.head(
    "Train",
    "Start training runs and watch them learn. Each has a process of its own: close the page, even "
    "the app, and it goes on.",
)
train_request.new_runs()
st.divider()
survey = runs.survey_runs()
messages = st.container()  # one that comes or goes moves nothing below into another place
with messages:
    train_actions.say_refusal()
    train_queue.broken(survey.problems)
if survey.runs:
    found = {run.id: run for run in survey.runs}
    with messages:
        train_queue.ask_clusters(survey.runs)
        train_watch.keep_run(found)
    if len(found) > 1:
        train_queue.show(survey.runs)
    train_watch.show(found)
else:
    st.session_state.pop("run", None)
    st.info("No run yet. Press **Start training**: LeNet on the digits takes seconds.")
