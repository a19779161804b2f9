"""The page Train: ask for runs, and watch them."""

import streamlit as st

from cnnviz import runs
from cnnviz.ui.train import actions, queue, watch
from cnnviz.ui.train.request import request_form


def show() -> None:
    """Write the page below its head, which is in `pages/`."""
    request_form.new_runs()
    st.divider()
    survey = runs.survey_runs()
    messages = st.container()  # one that comes or goes moves nothing below into another place
    with messages:
        actions.say_refusal()
        queue.broken(survey.problems)
    if survey.runs:
        found = {run.id: run for run in survey.runs}
        with messages:
            queue.ask_clusters(survey.runs)
            watch.keep_run(found)
        if len(found) > 1:
            queue.show(survey.runs)
        watch.show(found)
    else:
        st.session_state.pop("run", None)
        st.info("No run yet. Press **Start training**: LeNet on the digits takes seconds.")
