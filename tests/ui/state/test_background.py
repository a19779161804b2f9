import threading

import pytest
from streamlit.testing.v1 import AppTest

from cnnviz.errors import CnnvizError
from cnnviz.ui.state.background import Job


def test_a_job_runs_once_for_all_who_ask():
    calls, go = [], threading.Event()

    def work(report):
        calls.append(1)
        report(3, 10)
        go.wait(10)
        return "found"

    job = Job()
    for _ in range(3):
        job.start(work)
    assert not job.wait(0.05)
    assert (job.done, job.total) == (3, 10)
    go.set()
    assert job.wait(10)
    assert job.result() == "found"
    assert calls == [1]


def test_a_job_that_failed_says_why_and_can_be_begun_again():
    job = Job()

    def fail(report):
        raise CnnvizError("no images")

    job.start(fail)
    assert job.wait(10)
    with pytest.raises(CnnvizError, match="no images"):
        job.result()
    job.start(lambda report: 5)
    assert job.wait(10)
    assert job.result() == 5


def test_the_bar_goes_when_the_work_is_done():
    def script():
        import time

        import streamlit as st

        from cnnviz.ui.state import background

        job = background.Job()

        def work(report):
            report(1, 2)
            time.sleep(0.6)
            return "done"

        job.start(work)
        st.write(background.watch(job, "Looking"))

    app = AppTest.from_function(script, default_timeout=20).run()
    assert not app.exception
    assert app.markdown[0].value == "done"
    assert not app.get("progress")
