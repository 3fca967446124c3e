"""Pictures of pages in Chromium without a screen: that of QtWebEngine, or an executable.

    python splat_browser.py JOBS.json

takes jobs (address, script, width, height, picture) to QtWebEngine: the script is run in the page,
and the picture is written as PNG when the page has settled and `ready()`, if the script defines
that, is true. `pictures` does so with whichever browser there is.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ('chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome')
FLAGS = ('--no-sandbox', '--use-angle=swiftshader', '--enable-unsafe-swiftshader')
LIMIT = 60  # seconds for each picture
LOOK = 50  # milliseconds
MISSING = 'no browser: pip install PySide6_WebEngine==6.12.0.140, or have chromium on the path'
STATE = """(() => {
  const {state} = document.documentElement.dataset, waiting = window.ready && !window.ready();
  return state === 'failed' ? element('caption').textContent : state === 'settled' && !waiting;
})()"""


def pictures(folder: Path, jobs: list) -> list[Path]:
    """Of jobs (page or address of one, script, width, height)."""
    work = []
    for i, (page, script, width, height) in enumerate(jobs):
        if not page.startswith('http:'):
            file = folder / f'{i}.html'
            file.write_text(page)
            page = file.absolute().as_uri()
        work.append((page, script, width, height, str(folder / f'{i}.png')))
    (_by_qt if _has_qt() else _by_executable)(folder, work)
    return [Path(picture) for *_, picture in work]


def found() -> bool:
    return _has_qt() or bool(_executable())


def _has_qt():
    """Whether it loads, with the libraries of the system that it needs."""
    words = [sys.executable, '-c', 'import PySide6.QtWebEngineWidgets']
    return subprocess.run(words, capture_output=True).returncode == 0


def _by_qt(folder, work):
    jobs = folder / 'jobs.json'
    jobs.write_text(json.dumps(work))
    flags = {'QT_QPA_PLATFORM': 'offscreen', 'QTWEBENGINE_CHROMIUM_FLAGS': ' '.join(FLAGS)}
    done = subprocess.run(
        [sys.executable, __file__, str(jobs)],
        capture_output=True,
        text=True,
        env={**os.environ, **flags},
        timeout=LIMIT * (1 + len(work)),
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _executable():
    return next(filter(None, map(shutil.which, NAMES)), None)


def _by_executable(folder, work):
    """Each page by itself, after 20 seconds of a clock that does not wait for what is idle."""
    for address, script, width, height, picture in work:
        if script and address.startswith('file:'):
            file = folder / Path(address).name
            page = file.read_text()
            file.write_text(page.replace('</body>', f'<script>{script}</script></body>'))
        words = [_executable(), '--headless=new', *FLAGS, '--hide-scrollbars']
        words += [f'--window-size={width},{height}', '--virtual-time-budget=20000']
        words += [f'--screenshot={picture}', address]
        subprocess.run(words, check=True, capture_output=True, timeout=LIMIT)


def _qt(jobs):
    from PySide6.QtCore import QTimer, QUrl
    from PySide6.QtWebEngineCore import QWebEnginePage
    from PySide6.QtWebEngineWidgets import QWebEngineView
    from PySide6.QtWidgets import QApplication

    class Page(QWebEnginePage):
        def javaScriptConsoleMessage(self, level, message, line, source):
            print(f'{source}:{line}: {message}', flush=True)

    application = QApplication(sys.argv[:1])
    view = QWebEngineView()
    view.setPage(Page(view))
    timer, limit = QTimer(interval=LOOK), QTimer(interval=1000 * LIMIT, singleShot=True)
    waiting = list(jobs)

    def go_on():
        if not waiting:
            application.exit(0)
            return
        address, _, width, height, _ = waiting[0]
        view.resize(width, height)
        view.show()
        limit.start()
        view.load(QUrl(address))

    def run(loaded):
        view.page().runJavaScript(waiting[0][1], lambda _: timer.start())

    def look(found):
        if isinstance(found, str):
            end(found)
        elif found and timer.isActive():
            timer.stop()
            QTimer.singleShot(4 * LOOK, take)  # until it is on the screen

    def take():
        view.grab().save(waiting.pop(0)[-1])
        go_on()

    def end(words):
        print(words, flush=True)
        application.exit(1)

    view.loadFinished.connect(run)
    timer.timeout.connect(lambda: view.page().runJavaScript(STATE, look))
    limit.timeout.connect(lambda: end(f'{waiting[0]} took too long'))
    go_on()
    sys.exit(application.exec())


if __name__ == '__main__':
    _qt(json.loads(Path(sys.argv[1]).read_text()))
