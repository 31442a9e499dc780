"""Chromium without a window, driven through its debugging pipe: a page as a user has it."""

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import sys
import time

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)
needs_browser = pytest.mark.skipif(
    not BROWSER, reason=f"no browser: none of {', '.join(NAMES)} is installed"
)
_WITHIN = ("data:", "about:", "blob:null/")  # what a page has inside
# The browser reads commands from file 3 and writes to 4.
_START = "import os,sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); "
_START += "os.execv(sys.argv[3], sys.argv[3:])"


class Page:
    """One page; `errors` are those on its console, `requests` the addresses that it asked for."""

    def __init__(self, process, commands, answers):
        self._process, self._commands, self._answers = process, commands, answers
        self._rest, self._number, self._session = b"", 0, None
        self.errors, self.requests = [], []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for part in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{part}.enable")

    def call(self, method, **params):
        """What the browser answers to a command."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while True:
            found = self._next(60)
            if found.get("id") == self._number:
                assert "error" not in found, found
                return found["result"]

    def _next(self, seconds):
        until = time.monotonic() + seconds
        while b"\0" not in self._rest:
            assert select.select([self._answers], [], [], max(until - time.monotonic(), 0))[0]
            part = os.read(self._answers, 1 << 20)
            assert part, "the browser ended"
            self._rest += part
        text, _, self._rest = self._rest.partition(b"\0")
        found = json.loads(text)
        self._note(found.get("method"), found.get("params", {}))
        return found

    def _note(self, method, params):
        if method == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(params["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning"):
            self.errors.append(json.dumps(params["args"]))
        elif method == "Log.entryAdded":
            self.errors.append(params["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])

    def open(self, address):
        # The page alone would not be loaded anew for another fragment.
        self.call("Page.navigate", url="about:blank")
        self.call("Page.navigate", url=str(address))
        self.wait("location.href !== 'about:blank' && document.readyState === 'complete'")

    def run(self, script):
        """What a script gives; a promise is waited for."""
        done = self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")

    def text(self, name):
        """The text of the element with an id."""
        return self.run(f"document.getElementById('{name}').textContent")

    def wait(self, script, seconds=60):
        """What a script gives as soon as that is true."""
        until = time.monotonic() + seconds
        while not (found := self.run(script)):
            assert time.monotonic() < until, f"still not: {script}; the page said {self.errors}"
            time.sleep(0.05)
        return found

    def press(self, key, code, modifiers=0):
        """Press and release a key; modifiers: 2 is Ctrl, 8 Shift."""
        for kind in ("rawKeyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent",
                **{"type": kind, "key": key, "modifiers": modifiers},
                windowsVirtualKeyCode=code,
            )

    def click(self, selector):
        """Click in the middle of an element with the mouse."""
        x, y = self.run(
            f"(() => {{ const node = document.querySelector({json.dumps(selector)});"
            "node.scrollIntoView({block: 'center', behavior: 'instant'});"
            "const box = node.getBoundingClientRect();"
            "return [box.x + box.width / 2, box.y + box.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            at = {"type": kind, "x": x, "y": y, "button": "left", "clickCount": 1}
            self.call("Input.dispatchMouseEvent", **at)

    def swipe(self, selector, right, down):
        """Move a finger from the middle of an element, in five steps."""
        x, y = self.run(
            f"(() => {{ const box = document.querySelector({json.dumps(selector)})"
            ".getBoundingClientRect();"
            "return [box.x + box.width / 2, box.y + box.height / 2]; })()"
        )
        for step in range(6):
            kind = "touchMove" if step else "touchStart"
            at = [{"x": x + right * step / 5, "y": y + down * step / 5}]
            self.call("Input.dispatchTouchEvent", type=kind, touchPoints=at)
        self.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    def screenshot(self):
        """bytes: PNG of what is seen."""
        return base64.b64decode(self.call("Page.captureScreenshot")["data"])


@contextlib.contextmanager
def browser(folder, *own, width=1280, height=900, dark=False):
    """A Page; `folder` is where the browser keeps its profile and its downloads.

    In the end there was no error, and every address that the page asked for begins with one of
    `own`; without these nothing is checked.
    """
    import fcntl  # not on Windows

    (theirs_in, commands), (answers, theirs_out) = os.pipe(), os.pipe()
    theirs = [fcntl.fcntl(end, fcntl.F_DUPFD, 20) for end in (theirs_in, theirs_out)]
    process = subprocess.Popen(
        [
            *(sys.executable, "-c", _START, *map(str, theirs), BROWSER, "--headless"),
            *("--remote-debugging-pipe", "--no-sandbox", "--disable-gpu"),
            *("--disable-dev-shm-usage", "--no-first-run", f"--user-data-dir={folder}/profile"),
            *(f"--window-size={width},{height}", "--hide-scrollbars"),
        ],
        pass_fds=theirs,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    for end in (*theirs, theirs_in, theirs_out):
        os.close(end)
    try:
        page = Page(process, commands, answers)
        scheme = "dark" if dark else "light"
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        page.call("Emulation.setEmulatedMedia", features=features)
        page.call(
            "Emulation.setDeviceMetricsOverride",
            **{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
        )
        page.call(
            "Page.setDownloadBehavior", behavior="allow", downloadPath=str(folder / "downloads")
        )
        yield page
        if own:
            asked = [url for url in page.requests if not url.startswith(_WITHIN)]
            assert page.errors == [] and asked and all(url.startswith(own) for url in asked)
    finally:
        process.terminate()
        process.wait(30)
        os.close(commands)
        os.close(answers)
