"""Every code block of the README and of docs/ runs against a sandbox, and uses public names only; both languages say the same."""

from __future__ import annotations

import ast
import importlib
import json
import logging
import pkgutil
import re
import shlex
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs12

import wechatpay_chain
import wechatpay_chain.types
from tests.service import MCHID, PUBLIC_KEY_ID, SERIAL, json_body
from wechatpay_chain import Client
from wechatpay_chain._catalogue import file_operations
from wechatpay_chain._catalogue.operations import find_operation, list_operations
from wechatpay_chain._catalogue.v2_rules import RULES as V2_RULES
from wechatpay_chain._cli.main import main
from wechatpay_chain.sandbox import Sandbox

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [
    ROOT / "README.md",
    ROOT / "README.zh-CN.md",
    *sorted(DOCS.glob("*/*.md")),
    *sorted(DOCS.glob("*/recipes/*.md")),
]
EXAMPLES = sorted(DOCS.rglob("*.py"))
GUIDES = {
    language: [
        page.relative_to(DOCS / language).as_posix()
        for page in PAGES
        if page.is_relative_to(DOCS / language) and not page.name.startswith("api")
    ]
    for language in ("en", "zh")
}
OPERATIONS = {operation.page for method, path in list_operations() if (operation := find_operation(method, path))}
"""The pages that are generated, one for each operation, by name."""
LANGUAGES = pytest.mark.parametrize("language", ["en", "zh"])
READMES = ROOT / "README.md", ROOT / "README.zh-CN.md"
PAIRS = pytest.mark.parametrize(
    "pair",
    [READMES, *((DOCS / "en" / name, DOCS / "zh" / name) for name in GUIDES["en"])],
    ids=lambda pair: name_of(pair[0]),
)
"""Pages that say the same in both languages, the English one first."""
PACKAGE = Path(wechatpay_chain.__file__).parent
PUBLIC = {
    "wechatpay_chain",
    *(f"wechatpay_chain.{module.name}" for module in pkgutil.iter_modules([str(PACKAGE)]) if module.name[0] != "_"),
}
TYPES = {f"wechatpay_chain.types.{name}" for name in wechatpay_chain.types.__all__}
PRIVATE = {path.stem for path in PACKAGE.rglob("_*") if not path.stem.startswith("__") and path.suffix in ("", ".py")}

CERTIFICATE_ID = "5157F09EFDC096DE15EBE81A47057A7232F1B8E1"
BRAND_ID, BRAND_SERIAL = "120344", "7D1FA3E81CD24AE8BD5B5B3F5E1C2B6A9E70B3C4"
BRAND_KEY_ID = "PUB_KEY_ID_0115232134912410000000000000"
ORDER = {
    "appid": "wxd678efh567hg6787",
    "description": "Image形象店-深圳腾大-QQ公仔",
    "out_trade_no": "1217752501201407033233368018",
    "notify_url": "https://www.weixin.qq.com/wxpay/pay.php",
    "amount": {"total": 100, "currency": "CNY"},
}


def pieces(page: Path, language: str = "python") -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def is_chinese(text: str) -> bool:
    return re.search(r"[\u4e00-\u9fff]", text) is not None


def syntax_of(english: str, chinese: str) -> tuple[str, str]:
    """Returns the syntax trees of a block in both languages, without comments; strings that are translated are the same."""
    trees = ast.parse(english), ast.parse(chinese)
    for ours, theirs in zip(*map(strings_of, trees), strict=False):  # if there is one too many, the trees differ
        if is_chinese(theirs.value) and not is_chinese(ours.value):
            ours.value = theirs.value
    return ast.dump(trees[0]), ast.dump(trees[1])


def strings_of(tree: ast.AST) -> list[ast.Constant]:
    strings = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    for string in strings:
        string.value = re.sub(r" *-- .*", "", string.value)  # a comment in SQL
    return strings


def text_of(source: str) -> list[str]:
    """Returns the lines of a source in another language, without comments."""
    return [re.sub(r"\s*# .*", "", line) for line in source.splitlines()]


def outline(text: str) -> list[tuple[str, list[str]]]:
    """Returns the headings, table rows and list items of a page: their marks, and the numbers of a row."""
    return [
        (re.sub(r"[^|]", "", line), sorted(re.findall(r"\d+", line))) if line[0] == "|" else (line.split()[0], [])
        for line in text.splitlines()
        if re.match(r"#+ |\||- |\d+\. ", line)
    ]


def private_imports(source: str) -> list[str]:
    """Returns the names that a source imports from this package and that are not public."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [name.name for name in node.names if is_ours(name.name) and name.name not in PUBLIC]
        elif isinstance(node, ast.ImportFrom) and is_ours(node.module or ""):
            names = [f"{node.module}.{name.name}" for name in node.names]
            module = importlib.import_module(node.module) if node.module in PUBLIC | TYPES else None
            exported = getattr(module, "__all__", vars(module)) if module else ()
            found += [name for name in names if name not in PUBLIC and name.rpartition(".")[2] not in exported]
    return found


def is_ours(module: str) -> bool:
    return module.partition(".")[0] == "wechatpay_chain"


def to_pkcs12(credentials) -> bytes:
    """Returns apiclient_cert.p12, whose passphrase is the merchant number."""
    key = serialization.load_pem_private_key(credentials["private_key"].encode(), None)
    certificate = x509.load_pem_x509_certificate(credentials["certificate"].encode())
    hidden = serialization.BestAvailableEncryption(credentials["mchid"].encode())
    return pkcs12.serialize_key_and_certificates(None, key, certificate, None, hidden)


@pytest.fixture
def reader(request, tmp_path, monkeypatch):
    """Returns a sandbox, its client, and a function that puts the sandbox's numbers in place of those of a page.

    The current folder has the files of the pages, and the environment their variables.
    """
    of_sm2 = "sm2.md" in request.node.name
    if of_sm2:
        pytest.importorskip("gmssl_pyx")
    with Sandbox(sm2=of_sm2) as sandbox, sandbox.client() as client:
        known, brand = sandbox.credentials, sandbox.brand_credentials
        public_key, certificate = known["certs"].values()
        ((brand_key_id, brand_key),) = brand["certs"].items()
        files = {
            "apiclient_key.pem": known["private_key"],
            "pub_key.pem": public_key,
            "wechatpay_5157F09E.pem": certificate,
            "apiv3_key.txt": known["apiv3_key"],
            "apiv2_key.txt": known["apiv2_key"],
            "workwx_secret.txt": known["workwx_secret"],
            "brand_key.pem": brand["private_key"],
            "brand_pub_key.pem": brand_key,
            "brand_api_key.txt": brand["apiv3_key"],
            "order.json": json.dumps({**ORDER, "mchid": client.mchid}),
            "merchant.json": json.dumps(known),
        }
        for name, text in files.items():
            (tmp_path / name).write_text(text)
        if not of_sm2:
            (tmp_path / "apiclient_cert.p12").write_bytes(to_pkcs12(known))
        (tmp_path / "shop.jpg").write_bytes(b"\xff\xd8\xff\xe0 a picture \xff\xd9")
        monkeypatch.chdir(tmp_path)
        # Readers use their own numbers and call the real service; here both are the sandbox's.
        public_key_id, serial = known["certs"]
        numbers = {MCHID: known["mchid"], SERIAL: known["serial"], PUBLIC_KEY_ID: public_key_id, CERTIFICATE_ID: serial}
        numbers |= {BRAND_ID: brand["brand_id"], BRAND_SERIAL: brand["serial"], BRAND_KEY_ID: brand_key_id}
        sandbox.operation("GET", "/brand/store/brandstores/{store_id}")(lambda _: {})
        sandbox.operation("POST", "/brand/card-member/user-cards")(lambda _: {})
        monkeypatch.setitem(Client.__init__.__kwdefaults__, "base_url", known["base_url"])
        monkeypatch.setitem(Client.__init__.__kwdefaults__, "proxies", {})
        monkeypatch.setenv("WECHATPAY_MCHID", known["mchid"])
        monkeypatch.setenv("WECHATPAY_SERIAL", known["serial"])
        monkeypatch.setenv("WECHATPAY_PRIVATE_KEY_FILE", "apiclient_key.pem")
        monkeypatch.setenv("WECHATPAY_PUBLIC_KEY_ID", public_key_id)
        monkeypatch.setenv("WECHATPAY_PUBLIC_KEY", "pub_key.pem")
        monkeypatch.setenv("WECHATPAY_APIV3_KEY", known["apiv3_key"])
        monkeypatch.setenv("WECHATPAY_SETTINGS", "merchant.json")
        yield sandbox, client, lambda text: re.sub("|".join(numbers), lambda number: numbers[number[0]], text)


@pytest.mark.parametrize("page", [page for page in PAGES if pieces(page)], ids=name_of)
def test_a_page_runs_from_top_to_bottom(page, reader, monkeypatch, capsys):
    sandbox, client, adapt = reader
    for settings in pieces(page, "toml"):
        Path("shop.toml").write_text(adapt(settings))
    monkeypatch.syspath_prepend(DOCS / "examples")  # for orders.py
    client.v3.pay.transactions.native.post(json={"mchid": client.mchid, **ORDER})
    # The bills list payments, of the merchant and of a sub-merchant.
    merchants = {"sp_appid": ORDER["appid"], "sp_mchid": client.mchid, "sub_mchid": "1900000109"}
    placed = {name: value for name, value in ORDER.items() if name != "appid"} | {"out_trade_no": "20251231-0001"}
    client.v3.pay.transactions.native.post(json={**ORDER, "mchid": client.mchid, "out_trade_no": "20251231-0000"})
    client.v3.pay.partner.transactions.native.post(json={**placed, **merchants})
    sandbox.pay("20251231-0000", notify=False)
    sandbox.pay("20251231-0001", notify=False)
    # The pages fetch the bills of yesterday, which are ready at 10:00.
    sandbox.advance(max(10 - sandbox.now.hour, 0) * 3600)
    scope = {"client": client, "sandbox": sandbox, "__name__": "page"}
    for piece in pieces(page):
        exec(compile(adapt(piece), str(page), "exec"), scope)
    capsys.readouterr()
    logging.getLogger("wechatpay_chain").setLevel(logging.NOTSET)  # a page shows how to turn it on


def commands_of(page: Path) -> list[list[str]]:
    """Returns the commands of a page that end by themselves."""
    lines = "".join(pieces(page, "sh")).splitlines()
    commands = [shlex.split(line) for line in lines if line.startswith("wechatpay-chain ")]
    return [command[1:] for command in commands if command[1] != "sandbox" or not command[2].startswith("-")]


@LANGUAGES
def test_the_commands_of_the_page_on_the_command_line_run(language, reader, monkeypatch, capsys):
    sandbox, client, adapt = reader
    page = DOCS / language / "command-line.md"
    (settings,) = pieces(page, "toml")
    # The clock of `doctor` looks at the base_url that is written.
    at_top = f'base_url = "{sandbox.base_url}"\n{adapt(settings)}'
    Path("shop.toml").write_text(at_top)
    headers, body = sandbox.notification("REFUND.SUCCESS")
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    Path("captured.txt").write_bytes(f"{head}\r\n".encode() + body)
    client.v3.pay.transactions.native.post(json={**ORDER, "mchid": client.mchid, "out_trade_no": "20251231-0000"})
    sandbox.pay("20251231-0000", notify=False)
    sandbox.advance(max(10 - sandbox.now.hour, 0) * 3600)
    monkeypatch.setenv("WECHATPAY_CONFIG", "shop.toml")
    commands = commands_of(page)
    assert {command[0] for command in commands} == {
        "request", "operations", "doctor", "bill", "upload", "certificates", "notify",
    }  # fmt: skip
    for command in commands:
        assert main([adapt(part) for part in command]) == 0, (command, capsys.readouterr().err)


@LANGUAGES
def test_the_commands_that_steer_a_sandbox_run(language, reader, monkeypatch, capsys):
    sandbox, client, _ = reader
    for number in ("20260101-0001", "20260101-0002"):
        client.v3.pay.transactions.native.post(json={**ORDER, "mchid": client.mchid, "out_trade_no": number})
    sandbox.pay("20260101-0002", notify=False)
    refund = {"out_trade_no": "20260101-0002", "out_refund_no": "20260101-0001-1"}
    refund |= {"amount": {"refund": 1, "total": 100, "currency": "CNY"}}
    client.v3.refund.domestic.refunds.post(json=refund)
    transfer = {"appid": ORDER["appid"], "out_bill_no": "plfk2020042013", "transfer_scene_id": "1000"}
    transfer |= {"openid": "o-MYE42l80oelYMDE34nYD456Xoy", "transfer_amount": 1000, "transfer_remark": "活动奖励"}
    transfer |= {"transfer_scene_report_infos": [{"info_type": "活动名称", "info_content": "新会员有礼"}]}
    client.v3.fund_app.mch_transfer.transfer_bills.post(json=transfer)
    monkeypatch.setenv("WECHATPAY_SANDBOX_URL", sandbox.base_url)
    commands = commands_of(DOCS / language / "sandbox.md")
    assert len(commands) == 12
    for command in commands:
        status = 1 if "notify" in command else 0  # nobody receives it
        assert main(command) == status, (command, capsys.readouterr().err)


@LANGUAGES
def test_a_response_to_another_query_verifies_and_is_told_apart(language, service, wire, client, send):
    """The pages say that nothing binds a response to its request, and how callers compare the two."""
    (piece,) = (piece for piece in pieces(DOCS / language / "getting-started.md") if "def is_about" in piece)
    scope = {}
    exec(piece.partition("\n\n\nnumber")[0], scope)
    is_about = scope["is_about"]
    reply = service.signed(
        json_body({"out_trade_no": "a-1", "mchid": MCHID, "amount": {"total": 1, "currency": "CNY"}})
    )
    wire.respond = lambda received: reply
    asked = {"mchid": MCHID, "out_trade_no": "a-1", "amount": {"total": 1}}
    node = client.v3.pay.transactions.out_trade_no._number_
    assert is_about(send(node, "get", number="a-1").json(), asked)
    found = send(node, "get", number="b-2").json()
    assert not is_about(found, {**asked, "out_trade_no": "b-2"})
    assert not is_about(found, {**asked, "amount": {"total": 100}})
    assert not is_about(found, {**asked, "amount": {"refund": 1}})
    assert not is_about({"trade_state": "SUCCESS"}, asked)


@pytest.mark.parametrize(
    ("page", "name"),
    [
        ("notifications.md", "fastapi_app.py"),
        ("notifications.md", "orders.py"),
        ("testing.md", "test_shop.py"),
        ("recipes/signer.md", "hsm.py"),
        ("recipes/deployment.md", "checkout.py"),
        ("recipes/deployment.md", "gunicorn_conf.py"),
        ("recipes/deployment.md", "tasks.py"),
    ],
)
def test_a_page_shows_a_file_as_it_is(page, name):
    program = (DOCS / "examples" / name).read_text(encoding="utf-8")
    assert program in pieces(DOCS / "en" / page)  # the Chinese page differs from it in comments only


@LANGUAGES
def test_a_page_shows_the_statement_of_the_example_for_both_databases(language):
    sqlite, postgresql = pieces(DOCS / language / "notifications.md", "sql")
    assert sqlite in (DOCS / "examples" / "orders.py").read_text(encoding="utf-8")
    assert re.sub(r":(\w+)", r"%(\1)s", sqlite) == postgresql


@pytest.mark.parametrize("source", [*PAGES, *EXAMPLES], ids=name_of)
def test_pages_and_examples_import_public_names_only(source):
    text = source.read_text(encoding="utf-8")
    blocks = [text] if source.suffix == ".py" else [*pieces(source), *pieces(source, "py")]
    assert [name for block in blocks for name in private_imports(block)] == []


@pytest.mark.parametrize(
    "source",
    [
        "import wechatpay_chain._client",
        "import wechatpay_chain.crypto, wechatpay_chain._keys.loading as loading",
        "from wechatpay_chain._messages.effects import Sleep",
        "from wechatpay_chain import _client",
        "from wechatpay_chain import TYPE_CHECKING",
        "from wechatpay_chain.errors import enum",
        "from wechatpay_chain.types.v3 import TYPE_CHECKING",
        "from wechatpay_chain.types._lazy import import_product",
        "def f():\n    from wechatpay_chain.sandbox._server import Sandbox",
    ],
)
def test_a_private_import_is_found(source):
    assert len(private_imports(source)) == 1


@pytest.mark.parametrize("source", [*PAGES, *EXAMPLES, ROOT / "SECURITY.md", ROOT / "CHANGELOG.md"], ids=name_of)
def test_no_page_names_a_private_module(source):
    text = source.read_text(encoding="utf-8")
    assert "_pipeline" in PRIVATE
    assert re.findall(rf"\bwechatpay_chain[./]_\w+|(?<![\w$])(?:{'|'.join(sorted(PRIVATE))})\b", text) == []


def test_the_reference_has_every_public_name():
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    directives = re.findall(r"^::: (\S+)$", text, re.MULTILINE)
    assert len(directives) == len(set(directives))
    hidden = re.findall(r'"!\^(\w+)\$"', text)  # by the options of a module, for another page has them
    modules = {importlib.import_module(name) for name in directives if name in PUBLIC}
    documented = {id(getattr(module, name)) for module in modules for name in module.__all__ if name not in hidden}
    for name in set(directives) - PUBLIC:
        parent, _, attribute = name.rpartition(".")
        assert parent == "wechatpay_chain"
        documented.add(id(getattr(wechatpay_chain, attribute)))
    assert set(directives) >= PUBLIC - {"wechatpay_chain"}
    missing = [name for name in wechatpay_chain.__all__ if id(getattr(wechatpay_chain, name)) not in documented]
    assert missing == ["__version__"], "add `::: wechatpay_chain.NAME` to docs/en/api.md"


@LANGUAGES
def test_the_page_of_errors_lists_the_unsigned_downloads(language):
    page = (DOCS / language / "errors.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `(\w+) (v3/[^`]+)` \|$", page, re.MULTILINE)
    assert {(method, "/" + re.sub(r"\{\w+\}", "{}", path)) for method, path in listed} == set(file_operations._UNSIGNED)


@LANGUAGES
def test_the_page_of_apiv2_lists_the_operations_whose_responses_are_unsigned(language):
    page = (DOCS / language / "apiv2.md").read_text(encoding="utf-8")
    rows = [re.findall(r"`([^`]+)`", row) for row in re.findall(r"^\| `\w.*", page, re.MULTILINE)]
    listed = {
        f"/{folder}{name}"
        for row in rows
        for folder in row
        for name in row
        if folder.endswith("/") and not name.endswith("/")
    }
    assert listed == {rule.partition(" ")[2] for rule, each in V2_RULES.items() if not each.signed}


def test_there_are_pieces_to_run():
    assert sum(len(pieces(page)) for page in PAGES) > 15


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
        folder, _, name = target.rpartition("/")
        if folder == "../api":  # generated, in Chinese only
            assert name.removesuffix(".md") in OPERATIONS, target
        else:
            assert (page.parent / target).exists(), target


def test_both_languages_have_the_same_pages():
    assert GUIDES["zh"] == GUIDES["en"]


@PAIRS
def test_both_languages_have_the_same_code(pair):
    pages = [page.read_text(encoding="utf-8") for page in pair]
    english, chinese = (re.findall(r"^```(\w*)\n(.*?)^```", page, re.DOTALL | re.MULTILINE) for page in pages)
    assert [language for language, _ in english] == [language for language, _ in chinese]
    for (language, ours), (_, theirs) in zip(english, chinese, strict=True):
        if language in ("python", "py"):
            ours, theirs = syntax_of(ours, theirs)
            assert ours == theirs
        else:
            lines = zip(text_of(ours), text_of(theirs), strict=True)
            assert [line for line in lines if line[0] != line[1] and not is_chinese(line[1])] == []


@pytest.mark.parametrize(
    "chinese",
    [
        'say("你好", 2)',
        'say("你好", "你")',
        'say("hello", 1)',
        'tell("你好", 1)',
        'say("你好", x=1)',
        'say("你好", 1, "你")',
    ],
)
def test_other_code_is_found(chinese):
    same = syntax_of('say("hi", 1)', 'say("你好", 1)  # 问候')
    other = syntax_of('say("hi", 1)', chinese)
    assert same[0] == same[1]
    assert other[0] != other[1]


@PAIRS
def test_both_languages_have_the_same_outline_and_the_same_names(pair):
    english, chinese = (
        re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE) for page in pair
    )
    assert outline(english) == outline(chinese)
    assert Counter(re.findall(r"`[^`\n]+`", english)) == Counter(re.findall(r"`[^`\n]+`", chinese))


def test_the_demo():
    run = subprocess.run([sys.executable, DOCS / "demo.py"], capture_output=True, text=True, timeout=60, check=False)
    assert (run.returncode, run.stderr) == (0, "")
    assert (
        run.stdout.count("POST /v3/marketing/partner/product-coupon/users/oh-394z-6CGkNoJrsDLTTUKiAnp4/pre-send-coupon")
        == 8
    )
    assert "8 of 8 calls succeeded; every response was verified." in run.stdout
    steps = [line.split()[0] for line in run.stdout.partition("every response was verified.\n")[2].splitlines() if line]
    assert steps == ["order", "pay", "notification", "query", "refund", "bill"]
    assert "bill              2 rows of this order, SHA1 " in run.stdout
