"""The report's pages in a browser at a phone's width."""

import html.parser
import json
import re
import shutil
import subprocess
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from reports import CLAIMS

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


ICON = "<link rel=icon href=data:,>"  # or the browser asks the server for one
MEASURE = f"""<!doctype html><title>measure</title>{ICON}<body>""" + """<script>
const pages = PAGES, found = [];
for (const page of pages) { const f = document.createElement("iframe"); f.src = page; f.width = 390; f.height = 844;
  f.style.border = 0; document.body.append(f); }
onload = () => { for (const f of document.querySelectorAll("iframe")) {
  const d = f.contentDocument, w = f.contentWindow;
  const box = e => { const r = e.getBoundingClientRect(); return [r.width, r.height, r.right]; };
  found.push({ page: f.getAttribute("src"), width: d.documentElement.scrollWidth, shown: w.innerWidth,
    math: [...d.querySelectorAll("math")].map(box), svg: [...d.querySelectorAll("svg")].map(box),
    styled: w.getComputedStyle(d.querySelector("h1")).lineHeight !== "normal",
    links: [...d.querySelectorAll("a")].map(a => a.href) }); }
  const pre = document.createElement("pre"); pre.id = "found"; pre.textContent = JSON.stringify(found);
  document.body.replaceChildren(pre); };
</script>"""


class _Quiet(SimpleHTTPRequestHandler):
    """Serves a folder and keeps what was asked for in vain."""

    def log_message(self, *arguments):
        pass

    def send_error(self, code, message=None, explain=None):
        self.server.missed.append(self.path)
        super().send_error(code, message, explain)


@pytest.fixture(scope="module")
def measured(files, tmp_path_factory):
    """Return what a browser finds on every page at a phone's width, with what it complains about."""
    if CHROMIUM is None:
        pytest.skip("no Chromium here")
    folder = tmp_path_factory.mktemp("report")
    for name, data in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(data)
    wide = f"{ICON}<h1>the control</h1><p style='width:500px'>wide</p><script>nonsense()</script>"
    (folder / "wide.html").write_text(wide)
    names = [name for name in files if name.endswith(".html")]
    (folder / "measure.html").write_text(MEASURE.replace("PAGES", json.dumps([*names, "wide.html"])))
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=folder))
    server.missed = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_address[1]}"
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"]
    options.append(f"--user-data-dir={folder}/user")
    try:
        found = subprocess.run(
            [CHROMIUM, *options, "--dump-dom", f"{address}/measure.html"], capture_output=True, text=True, timeout=180
        )
    finally:
        server.shutdown()
        server.server_close()
    if "found" not in found.stdout:
        pytest.skip(f"Chromium does not run here: {found.stderr[-300:]}")
    text = re.search(r'<pre id="found">(.*?)</pre>', found.stdout, re.DOTALL)[1]
    by_page = {row["page"]: row for row in json.loads(html.unescape(text))}
    console = [line for line in found.stderr.splitlines() if "CONSOLE" in line]
    return by_page, console, server.missed, address, set(files)


def test_pages_load_in_a_browser(measured):
    by_page, console, missed, address, known = measured
    assert len(by_page) == len(CLAIMS) + 2
    control = by_page.pop("wide.html")
    assert control["width"] > control["shown"] == 390
    assert not control["styled"]
    assert all("wide.html" in line for line in console)
    assert len(console) == 1  # the control's
    assert missed == []
    for name, page in by_page.items():
        assert page["styled"], name
        assert page["width"] <= 390, name  # nothing scrolls sideways
        assert all(w > 1 and h > 1 for w, h, _ in page["math"]), name
        assert all(w > 200 and h > 100 and right <= 390 for w, h, right in page["svg"]), name
        for link in page["links"]:
            inside = link.startswith(address)
            target = link.removeprefix(f"{address}/").partition("#")[0]
            assert (inside and target in known) or link.startswith("https://arxiv.org/"), link
    assert sum(bool(page["math"]) for page in by_page.values()) == len(CLAIMS)
    assert sum(bool(page["svg"]) for page in by_page.values()) == len(CLAIMS) - 1
