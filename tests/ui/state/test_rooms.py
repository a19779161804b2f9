import subprocess
import sys

import pytest
from streamlit.testing.v1 import AppTest

from cnnviz.settings import ROOT
from cnnviz.ui.explore import page
from cnnviz.ui.state import rooms
from cnnviz.ui.state.background import Job

HEAVY = "{'torch', 'torchvision'} & set(sys.modules)"


def python(code: str) -> None:
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_shell_and_home_need_no_torch():
    python(
        "import sys, app\n"
        "from streamlit.testing.v1 import AppTest\n"
        "home = AppTest.from_file('cnnviz/ui/shell.py', default_timeout=60).run()\n"
        "assert not home.exception and home.title[0].value == 'From LeNet to ConvNeXt'\n"
        f"assert not {HEAVY}, {HEAVY}"
    )


def test_the_head_of_a_page_needs_no_torch():
    python(f"import sys, cnnviz.ui.look.panels, cnnviz.ui.state.rooms; assert not {HEAVY}")


def test_a_fault_of_a_page_is_an_exception_where_no_server_runs(monkeypatch):
    monkeypatch.setattr(page, "show", lambda: 1 / 0)
    app = AppTest.from_file(str(ROOT / "pages" / "explore.py"), default_timeout=60).run()
    assert len(app.exception) == 1


def test_a_room_that_could_not_be_imported_is_tried_again(monkeypatch, tmp_path):
    monkeypatch.setattr(rooms, "_jobs", {"late_room": Job()})
    monkeypatch.syspath_prepend(str(tmp_path))
    job = rooms._begun("late_room")
    assert job.wait(30)
    with pytest.raises(ModuleNotFoundError):
        job.result()
    (tmp_path / "late_room.py").write_text("")
    assert rooms._begun("late_room").wait(30)
    job.result()


def test_an_import_leaves_the_interpreter_as_it_was(monkeypatch):
    monkeypatch.setattr(rooms, "_jobs", {"no_such_room": Job()})
    before = sys.getswitchinterval()
    assert rooms._begun("no_such_room").wait(30)
    assert sys.getswitchinterval() == before


def test_nothing_is_imported_while_a_visitor_is_answered(monkeypatch):
    monkeypatch.setattr(rooms, "_jobs", {"no_such_room": Job()})
    monkeypatch.setattr(rooms, "_asked", rooms.threading.Event())
    monkeypatch.setattr(rooms.Visits, "last", rooms.monotonic() + 3600)
    job = rooms._begun("no_such_room")
    assert not job.wait(0.5)
    rooms.Visits.last = 0.0
    assert job.wait(30)
