"""The report in a real browser: it fits narrow and wide screens, draws its charts, and prints on landscape pages."""

import html
import re
import shutil
import subprocess
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run",
)  # fmt: skip


def chromium(tmp_path: Path, *arguments: str) -> str:
    if CHROMIUM is None:
        pytest.skip("there is no Chromium on this machine")
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


def report(company: Path) -> Path:
    return company / "output" / "reviews" / "2024Q4" / "review.html"


@pytest.mark.parametrize("width", [360, 800, 1280])
def test_the_report_fits_the_width_of_the_screen(company: Path, tmp_path: Path, width: int) -> None:
    page = html.escape(report(company).read_text(encoding="utf-8"), quote=True)
    frame = tmp_path / "frame.html"
    frame.write_text(
        f'<!doctype html><meta charset="utf-8"><iframe id="f" style="width:{width}px;height:900px;border:0"'
        f' srcdoc="{page}"></iframe><p id="found"></p><script>'
        "document.getElementById('f').addEventListener('load', function () {"
        " const d = this.contentDocument; const charts = [...d.querySelectorAll('svg')];"
        " const drawn = charts.filter(s => s.getBoundingClientRect().width > 20).length;"
        " document.getElementById('found').textContent = `width ${d.documentElement.scrollWidth} drawn ${drawn}`; });"
        "</script>",
        encoding="utf-8",
    )
    dom = chromium(
        tmp_path, "--window-size=1400,1000", "--virtual-time-budget=4000", "--dump-dom", frame.as_uri()
    )
    found = re.search(r"width (\d+) drawn (\d+)</p>", dom)
    assert found, dom[-300:]
    assert int(found[1]) <= width
    assert int(found[2]) >= 10


def test_the_report_prints_on_landscape_pages(company: Path, tmp_path: Path) -> None:
    target = tmp_path / "review.pdf"
    chromium(tmp_path, "--no-pdf-header-footer", f"--print-to-pdf={target}", report(company).as_uri())
    boxes = re.findall(rb"/MediaBox\s*\[\s*0 0 ([\d.]+) ([\d.]+)", target.read_bytes())
    assert 5 <= len(boxes) <= 16
    assert all(float(wide) > float(tall) for wide, tall in boxes)
