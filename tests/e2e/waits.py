"""What a browser test waits for: that the app has answered, never that time has passed.

Whether the script runs is no answer to whether it has run: a press is on its way to the server
before the page knows of any run. So what goes over the line is counted in the page itself: a
request is answered when a run that began after it has ended, and not for the sake of another run.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import BrowserContext, Locator, Page, expect
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

HEAD, ROW = 38, 35  # heights of a table's title and of its rows (pixels)

_NAMES = {
    "RERUN": BackMsg.RERUN_SCRIPT_FIELD_NUMBER,
    "AGAIN": ClientState.IS_AUTO_RERUN_FIELD_NUMBER,
    "BEGUN": ForwardMsg.NEW_SESSION_FIELD_NUMBER,
    "ENDED": ForwardMsg.SCRIPT_FINISHED_FIELD_NUMBER,
    "CUT_SHORT": ForwardMsg.FINISHED_EARLY_FOR_RERUN,
}

# window.appLine: how many runs the page has asked for, and what has become of the last: it is
# asked for, begun, answered, and drawn once the browser has nothing left to do. A page that only
# looks again, every second or so, asks for nothing.
_LINE = """({RERUN, AGAIN, BEGUN, ENDED, CUT_SHORT}) => {
    const line = window.appLine = {asked: 0, state: 'silent', turn: 0, born: Math.random()};
    const turn = state => {
        line.state = state;
        const mine = ++line.turn;
        if (state === 'answered')
            requestIdleCallback(() => { if (line.turn === mine) line.state = 'drawn'; });
    };
    const fields = bytes => {  // of a protobuf message: numbers and what is in them
        const found = new Map();
        let at = 0;
        const number = () => {
            let value = 0, scale = 1, byte;
            do { byte = bytes[at++]; value += (byte & 127) * scale; scale *= 128; }
            while (byte & 128);
            return value;
        };
        while (at < bytes.length) {
            const tag = number(), kind = tag % 8, field = Math.floor(tag / 8);
            if (kind === 0) found.set(field, number());
            else if (kind === 2) {
                const size = number();
                found.set(field, bytes.subarray(at, at += size));
            } else at += kind === 1 ? 8 : 4;
        }
        return found;
    };
    const hear = event => {
        const said = fields(new Uint8Array(event.data));
        if (said.has(BEGUN)) turn('begun');
        if (said.has(ENDED) && line.state === 'begun')
            turn(said.get(ENDED) === CUT_SHORT ? 'asked' : 'answered');
    };
    const heard = new WeakSet(), send = WebSocket.prototype.send;
    WebSocket.prototype.send = function (data) {
        if (!heard.has(this)) {
            heard.add(this);
            this.addEventListener('message', hear);
        }
        const wish = data instanceof Uint8Array ? fields(data).get(RERUN) : undefined;
        if (wish && !fields(wish).get(AGAIN)) {
            line.asked += 1;
            turn('asked');
        }
        send.call(this, data);
    };
}"""

_SETTLED = """() => {
    const app = document.querySelector('[data-testid="stApp"]');
    return app !== null && app.dataset.testScriptState === 'notRunning'
        && window.appLine.state === 'drawn'
        && document.querySelector('[data-testid^="stSkeleton"]') === null
        && document.querySelector('[data-stale="true"]') === null;
}"""
_ASKED = "({asked, born}) => appLine.born !== born || appLine.asked >= asked"
_BACK_TWICE = """wait => new Promise(then => {
    history.back();
    setTimeout(() => {
        addEventListener('popstate', then, {once: true});
        history.back();
    }, wait);
})"""


def listen(context: BrowserContext) -> None:
    """Let the pages of a context count what they ask the app and what it answers."""
    context.add_init_script(f"({_LINE})({json.dumps(_NAMES)})")


def settled(page: Page, timeout_s: float = 60) -> None:
    """Wait until all that was asked of the app is answered and nothing on the page is stale."""
    page.wait_for_function(_SETTLED, timeout=timeout_s * 1000)


@contextmanager
def asked(page: Page) -> Iterator[None]:
    """Wait until what is done within has sent the app a request, whatever comes of it."""
    line = page.evaluate("({...appLine, asked: appLine.asked + 1})")
    yield
    page.wait_for_function(_ASKED, arg=line)


@contextmanager
def answered(page: Page) -> Iterator[None]:
    """Wait until the app has answered what is done within; it must ask the app for something."""
    with asked(page):
        yield
    settled(page)


def back(page: Page) -> None:
    """Press the browser's Back, and wait until the page that it leads to has settled."""
    with answered(page):
        page.go_back()


def back_twice(page: Page, wait_ms: int) -> None:
    """Press Back twice, `wait_ms` apart, and wait until the page that it leads to has settled."""
    page.evaluate(_BACK_TWICE, wait_ms)
    settled(page)


def standing_table(page: Page) -> Locator:
    """The table of the page once it has drawn itself: its canvas then holds what can be read."""
    table = page.get_by_test_id("stDataFrame")
    expect(table.locator("canvas [role=gridcell]").first).to_be_attached()
    return table


def choose_row(page: Page, row: int) -> None:
    """Press the circle of a row of the table."""
    standing_table(page).click(position={"x": 18, "y": HEAD + ROW * row + ROW // 2})


def press_row(page: Page, row: int) -> None:
    """Press the circle of a row of the table, and wait for the app's answer."""
    with answered(page):
        choose_row(page, row)
