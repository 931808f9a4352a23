"""Every block of code on the pages of operations runs against a sandbox; and the pages say what the catalogue says."""

from __future__ import annotations

import re
from operator import attrgetter
from pathlib import Path

import pytest
from typing_extensions import is_typeddict

from tools.site import navigation
from tools.site.calls import make_arguments
from tools.site.entries import find_entry, group, list_entries, name_in_product
from tools.site.events import find_events, find_v2_notice
from tools.site.examples import SEED, make_example_of, prepare, run_block, write_files
from tools.site.guides import copy_guides
from tools.site.indexes import write_types
from tools.site.links import find_broken_links, finish_links
from tools.site.official import list_official_pages, read_official_pages
from tools.site.page import write_page
from tools.site.preparations import list_prepared
from tools.site.sections import SECTIONS
from tools.site.styles import BROWSED, STYLES, write_style
from tools.site.typed import list_type_names, write_typed
from wechatpay_chain import ContentError, RedirectionError, types
from wechatpay_chain.sandbox import Sandbox

DOCS = Path(__file__).parents[1] / "docs"
OPERATIONS = [entry for entry in list_entries() if entry.operation.path not in BROWSED]
OPERATIONS_OF_V2 = [entry for entry in list_entries() if entry.is_v2]
BATCHES = 24
"""The operations are shared out, so that several processes run them."""

NATIVE = "v3.pay.transactions.native.post"


@pytest.fixture(scope="module")
def world():
    with Sandbox(seed=SEED) as sandbox, sandbox.client(retry=None) as client:
        yield sandbox, client


@pytest.fixture
def in_folder(tmp_path, monkeypatch):
    write_files(tmp_path)
    monkeypatch.chdir(tmp_path)


def test_there_is_a_page_for_each_operation_and_six_blocks_are_run_for_all_but_pages_of_a_browser():
    assert len(list_entries()) == 1153
    assert len(OPERATIONS) * len(STYLES) == 6 * 1150 == 6900
    assert sum(len(OPERATIONS[batch::BATCHES]) for batch in range(BATCHES)) == len(OPERATIONS)


@pytest.mark.slow
@pytest.mark.parametrize("batch", range(BATCHES))
def test_every_block_succeeds_and_the_six_of_an_operation_make_one_call(batch, world, in_folder):
    sandbox, client = world
    count = 0
    for entry in OPERATIONS[batch::BATCHES]:
        for style in STYLES:
            block = write_style(entry, style, prepare(entry, sandbox, client))
            before = len(sandbox.history)
            run_block(block, client)
            seen, *others = reversed(sandbox.history[before:])
            assert [other.call.target for other in others] in ([], ["/risk/getpublickey"])
            assert seen.status == entry.operation.status, (entry.slug, style)
            assert seen.call.method == entry.operation.method
            pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(entry.operation.path))
            assert re.fullmatch(pattern, seen.call.target.partition("?")[0]), (entry.slug, style, seen.call.target)
            count += 1
        run_block(write_typed(entry), client)
    assert count == 6 * len(OPERATIONS[batch::BATCHES])


def test_every_preparation_is_of_a_page():
    assert all(find_entry(slug) for slug in list_prepared())
    assert len(list_prepared()) == 130


def test_a_page_has_the_parts_of_the_call(world, in_folder):
    entry = find_entry(NATIVE)
    page = write_page(entry, make_example_of(entry, *world))
    assert re.findall(r"^#+ .*", page, re.MULTILINE) == [
        "# Native下单",
        "## 请求 {#request}",
        "## 调用 {#call data-search-exclude}",
        "## 类型 {#types data-search-exclude}",
        "## 返回 {#response}",
        "## 沙箱的应答 {#answer data-search-exclude}",
        "## 回调通知 {#events}",
    ]
    assert re.findall(r'^=== "(.*)"$', page, re.MULTILINE) == list(STYLES)
    assert "[基础支付 · 通用](payment.md)，适用于" in page
    assert '<tr style="--depth:2"><td><code>total</code> <b class="api-mark api-required">必填</b></td>' in page
    assert "def call(\n    client: Client,\n    json: v3.pay.transactions.native.PostBody,\n)" in page
    assert '"code_url": "weixin://wxpay/bizpayurl' in page
    assert "(notifications.md#TRANSACTION.SUCCESS)" in page
    assert "[`v3.pay.transactions.native.PostBody`](types-payment.md#v3.pay.transactions.native.post)、" in page
    assert "，内层对象另有 8 个（" in page


def test_a_page_says_what_was_there_before_the_call(world, in_folder):
    entry = find_entry("v3.pay.transactions.id.transaction_id.get")
    page = write_page(entry, make_example_of(entry, *world))
    assert "调用前，沙箱中已有：一笔订单，用户已支付" in page
    (number,) = set(re.findall(r'transaction_id="(\d+)"', page))
    assert f'"transaction_id": "{number}"' in page


def test_a_ciphertext_is_shortened_and_other_text_is_not(world, in_folder):
    entry = find_entry("v3.merchant-service.complaints-v2.complaint_id.get")
    body = make_example_of(entry, *world).body
    assert re.search(r'"payer_phone": "[A-Za-z0-9+/]{16}…"', body)
    assert '"complaint_detail": "商品与描述不符"' in body


def test_a_page_of_apiv2_says_what_the_client_adds(world, in_folder):
    for entry in OPERATIONS_OF_V2:
        is_page = entry.operation.path in BROWSED
        page = write_page(entry, None if is_page else make_example_of(entry, *world))
        assert re.findall(r'^=== "(.*)"$', page, re.MULTILINE) == list(STYLES)
        assert ("## 沙箱的应答" in page) == (not is_page)
        assert ("| 商户证书（TLS） | 需要" in page) == entry.operation.client_certificate
        assert ("| 应答 | 没有签名 |" in page) == ("sign" not in (entry.operation.response or {}).get("properties", {}))
        assert ("这个接口使用另一个域名" in page) == bool(entry.operation.host)
        added = set(re.findall(r"<code>(\w+)</code></td><td>\w+</td><td><b class=\"api-mark\">自动填写</b>", page))
        (listed,) = re.findall(r"^\| 自动填写的字段 \| (.*) \|$", page, re.MULTILINE)
        assert added - {"media_hash"} == set(re.findall(r"\w+", listed)) - {"无"}


def test_a_page_of_apiv2_has_the_response_and_the_notice_that_follows(world, in_folder):
    page = write_page(
        find_entry("v2.pay.unifiedorder.post"), make_example_of(find_entry("v2.pay.unifiedorder.post"), *world)
    )
    assert '"prepay_id": "wx' in page
    assert "[支付结果通知](../apiv2.md#回调通知)" in page
    assert "127.0.0.1" not in page
    noticed = [entry.operation.path for entry in OPERATIONS_OF_V2 if find_v2_notice(entry)]
    assert len(noticed) == 17


@pytest.mark.parametrize(
    "slug", ["v2.appauth.authindex.get", "v2.papay.entrustweb.get", "v2.papay.partner.entrustweb.get"]
)
def test_the_six_blocks_of_a_page_of_a_browser_make_one_call(slug, world):
    """What comes back is a web page or a redirection, which the client does not take for a response."""
    sandbox, client = world
    seen = []
    for style in STYLES:
        before = len(sandbox.history)
        with pytest.raises((ContentError, RedirectionError)):
            run_block(write_style(find_entry(slug), style, make_arguments(find_entry(slug))), client)
        seen += [re.sub("sign=[0-9A-F]+", "", each.call.target) for each in sandbox.history[before:]]
    assert len(seen) == 6
    assert len(set(seen)) == 1


def test_every_operation_is_once_in_the_navigation_and_its_title_is_unique_in_its_product():
    groups = group(list_entries())
    written = navigation.write_chinese(groups)
    for entry in list_entries():
        assert written.count(f'"api/{entry.slug}.md"') == 1
    assert [section for section in SECTIONS if not groups[section]] == []
    for products in groups.values():
        for entries in products.values():
            names = list(name_in_product(entries).values())
            assert len(set(names)) == len(names)


def test_the_navigation_has_every_guide_and_recipe():
    both = (*navigation.GUIDES, *navigation.RECIPES)
    for language, listed in (("zh", both), ("en", (*both, *navigation.REFERENCE))):
        folder = DOCS / language
        assert sorted(page.relative_to(folder).as_posix() for page in folder.rglob("*.md")) == sorted(listed)


def test_every_type_is_once_in_the_index_with_its_operation():
    listed = []
    for section, products in group(list_entries()).items():
        for row in re.findall(r"^\| <span .*$", write_types(section, products), re.MULTILINE):
            slug, prefix, names, page = re.fullmatch(
                r'\| <span id="(\S+)">`(\S+)`</span> \| (.*) \| \[.*\]\((\S+)\.md\) \|', row
            ).groups()
            assert slug == page
            assert find_entry(page).section is section
            listed += [f"{prefix}.{name}" for name in re.findall(r"`(\w+)`", names)]
    assert len(set(listed)) == len(listed) > 4500
    for name in listed:
        assert is_typeddict(attrgetter(name)(types)), name


def test_an_operation_leads_to_its_official_pages_where_they_are_known():
    operations = {f"{entry.operation.method} {entry.operation.path}": entry for entry in list_entries()}
    for name, addresses in read_official_pages().items():
        listed = list_official_pages(operations[name])
        assert sorted(address for _, address in listed) == sorted(set(addresses)) == sorted(addresses)
        assert len({label for label, _ in listed}) == len(listed)
    page = write_page(find_entry("v2.pay.micropay.post"), None)
    assert "官方文档：[商户](https://pay.weixin.qq.com/doc/v2/merchant/4011937125)。" in page
    assert "官方文档" not in write_page(find_entry("v2.sandboxnew.pay.refund.post"), None)


def test_a_rule_of_notifications_is_of_the_operations_that_take_an_address():
    assert [event.event_type for event in find_events(find_entry(NATIVE))] == ["TRANSACTION.SUCCESS"]
    assert find_events(find_entry("v3.pay.transactions.id.transaction_id.get")) == []
    assert find_events(find_entry("v3.payscore.serviceorder.post")) != []
    assert sum(bool(find_events(entry)) for entry in list_entries()) == 113


def test_guides_lead_to_the_pages_of_operations_and_to_the_other_language(tmp_path):
    links = {name: entry.slug for entry in list_entries() for name in list_type_names(entry)}
    (tmp_path / "zh").mkdir()
    copy_guides("zh", tmp_path / "zh", links)
    types = (tmp_path / "zh" / "types.md").read_text(encoding="utf-8")
    assert f"[`v3.pay.transactions.native.PostBody`](site:api/{NATIVE}/)" in types
    assert "[English](site:en/types/)" in types
    assert (tmp_path / "zh" / "examples" / "fastapi_app.py").exists()
    fleet = (tmp_path / "zh" / "fleet.md").read_text(encoding="utf-8")
    for file in ("examples/coupons.py", "assets/grafana.json"):
        assert f"](site:{file})" in fleet
        assert (tmp_path / "zh" / file).exists()


def test_links_that_lead_nowhere_are_found(tmp_path):
    pages = {
        "index.html": '<a href="a/#here">a</a> <a href="site:a/">a</a> <a href="https://a.example/">x</a>',
        "a/index.html": '<p id="here"></p> <a href="..">up</a> <a href="#nowhere">x</a> <img src="../gone.png">',
        "en/index.html": '<a href="../a/#gone">a</a> <a href="site:a/">a</a> <a href="../../a/">beyond</a>',
    }
    for name, text in pages.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    finish_links(tmp_path)
    assert 'href="../a/"' in (tmp_path / "en" / "index.html").read_text(encoding="utf-8")
    assert sorted(find_broken_links(tmp_path)) == [
        "a/index.html: #nowhere",
        "a/index.html: ../gone.png",
        "en/index.html: ../../a/",
        "en/index.html: ../a/#gone",
    ]
