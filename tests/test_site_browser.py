"""The built site in a browser: what is searched is found, a phone shows all of it, everybody can read it, and it needs no other host.

`make docs` builds the site; `make test-slow` does so if it is not there.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.browser import CHROMIUM, Browser
from tools.site.links import find_broken_links

pytestmark = pytest.mark.slow

SITE = Path(__file__).parents[1] / "build" / "docs" / "site"
AXE = "axe-core@4.14.1"
READY = "document.readyState === 'complete' && typeof document$ !== 'undefined'"
DIALOG = "[...document.querySelectorAll('*')].map(e => e.shadowRoot).find(e => e?.querySelector('[role=combobox]'))"

NATIVE = "api/v3.pay.transactions.native.post/"
PAGES = ["", "getting-started/", "api/payment/", NATIVE, "en/api/"]
WIDTHS = [1280, 390]

TASKS = {
    "退款": {"recipes/refund/", "api/v3.refund.domestic.refunds.post/"},
    "公钥": {"recipes/public-key/", "getting-started/"},
    "分账": {"recipes/profit-sharing/", "api/v3.profitsharing.orders.post/"},
    "关闭订单": {"recipes/close/", "api/v3.pay.transactions.out-trade-no.out_trade_no.close.post/"},
    "对账单": {"recipes/bills/", "api/v3.bill.tradebill.get/"},
    "上传图片": {"recipes/uploads/", "api/v3.merchant.media.upload.post/"},
    "投诉": {"recipes/complaints/", "api/v3.merchant-service.complaint-notifications.post/"},
    "转账": {"recipes/transfer/", "api/v3.fund-app.mch-transfer.transfer-bills.post/"},
    "回调验签": {"notifications/"},
    "报错 SIGN_ERROR": {"errors/", "faq/"},
    "Native下单": {"recipes/native/", NATIVE},
    "商家券": {"api/v3.marketing.busifavor.stocks.post/"},
}
"""What a reader looks for, and the pages that have it: a recipe, or the operation itself."""


class Files(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def url():
    assert (SITE / "index.html").exists(), "run make docs first"
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Files, directory=str(SITE)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def browser(url, tmp_path):
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    with Browser(tmp_path / "profile", language="zh-CN") as browser:
        yield browser
    assert browser.problems == []
    assert {each for each in browser.requested if not each.startswith((url, "data:"))} == set()


@pytest.fixture(scope="module")
def axe(tmp_path_factory):
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed")
    folder = tmp_path_factory.mktemp("node")
    command = [npm, "install", "--no-audit", "--no-fund", "--loglevel=error", "--prefix", str(folder), AXE]
    if subprocess.run(command, capture_output=True, timeout=120, check=False).returncode:
        pytest.skip(f"npm cannot install {AXE} from its registry")
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


def test_every_link_leads_somewhere(url):
    assert find_broken_links(SITE) == []


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_page_has_no_serious_barrier(url, browser, axe, page, width, dark):
    browser.open(f"{url}{page}", width, dark, ready=READY)
    browser.evaluate(f"{axe}; true")
    found = browser.evaluate("axe.run(document, {resultTypes: ['violations']}).then(found => found.violations)")
    serious = [each for each in found if each["impact"] in ("serious", "critical")]
    assert [(each["id"], [node["target"] for node in each["nodes"]][:5]) for each in serious] == []


@pytest.mark.parametrize("width", WIDTHS)
def test_no_page_scrolls_sideways_and_no_column_is_cut_off(url, browser, width):
    for page in (*PAGES, "errors/", "api/v3.payscore.serviceorder.post/", "api/v3.applyment4sub.applyment.empty.post/"):
        browser.open(f"{url}{page}", width, ready=READY)
        assert browser.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), page
        cells = "[...document.querySelectorAll('table.api td:nth-child(3)')].filter(e => e.textContent)"
        assert browser.evaluate(f"{cells}.every(e => e.getBoundingClientRect().right <= innerWidth)"), page
        assert browser.evaluate(f"{cells}.every(e => e.getBoundingClientRect().width > 150)"), page


def test_every_block_can_be_copied_and_a_style_stays_chosen(url, browser):
    browser.open(f"{url}{NATIVE}", ready=READY)
    blocks, buttons = "document.querySelectorAll('pre > code').length", "document.querySelectorAll('.md-code__button')"
    assert browser.evaluate(blocks) == 8
    browser.wait(f"[...{buttons}].filter(e => e.title).length === 8")
    browser.evaluate("[...document.querySelectorAll('.tabbed-labels label')][4].click()")
    browser.open(f"{url}api/v3.refund.domestic.refunds.post/", ready=READY)
    chosen = "document.querySelectorAll('.tabbed-labels label')[[...document.querySelectorAll('.tabbed-set > input')]"
    browser.wait(f"{chosen}.findIndex(e => e.checked)].textContent === '同步声明式'")


def test_the_scheme_is_that_of_the_system_and_can_be_changed(url, browser):
    scheme = "document.body.dataset.mdColorScheme"
    browser.open(url, dark=True, ready=READY)
    browser.wait(f"{scheme} === 'slate'")
    browser.evaluate("document.querySelector('[data-md-component=palette] label:not([hidden])').click()")
    browser.wait(f"{scheme} === 'default'")


def test_both_languages_lead_to_each_other(url, browser):
    browser.open(f"{url}types/", ready=READY)
    links = "[...document.querySelectorAll('.md-select__link')].map(e => [e.hreflang, e.href])"
    assert browser.evaluate(links) == [["zh", url], ["en", f"{url}en/"]]
    assert browser.evaluate("document.documentElement.lang") == "zh"
    browser.open(f"{url}en/types/", ready=READY)
    assert browser.evaluate(links) == [["zh", url], ["en", f"{url}en/"]]
    assert browser.evaluate("document.documentElement.lang") == "en"


def test_what_a_reader_looks_for_is_among_the_first_five_results(url, browser):
    browser.open(url, ready=READY)
    browser.click(".md-search__button")
    browser.wait(f"!!{DIALOG}")
    field = f"{DIALOG}.querySelector('[role=combobox]')"
    results = f"[...{DIALOG}.querySelectorAll('a[role=option]')].slice(0, 5)"
    addresses = f"{results}.map(e => new URL(e.href)).map(e => e.pathname.slice(1) + e.hash)"
    browser.wait(f"{DIALOG}.querySelector('[role=status]').textContent !== 'Loading search…'")
    missed = {}
    for words, pages in TASKS.items():
        browser.evaluate(f"{field}.focus(), {field}.select()")
        browser.send("Input.insertText", text=words)
        found, end = [], time.monotonic() + 5
        while (
            not pages & {address.partition("#")[0] for address in found} and time.monotonic() < end
        ):  # results come while one types
            time.sleep(0.1)
            found = [unquote(address) for address in browser.evaluate(addresses)]
        if not pages & {address.partition("#")[0] for address in found}:
            missed[words] = found
    assert missed == {}


def test_the_search_index_is_small():
    assert (SITE / "search.json").stat().st_size < 4_000_000
    index = json.loads((SITE / "search.json").read_text(encoding="utf-8"))
    assert [
        item["location"] for item in index["items"] if "asyncio.run" in item["text"] and "api/v3" in item["location"]
    ] == []
