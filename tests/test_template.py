"""The grammar of the chain and the expansion of templates."""

from __future__ import annotations

import asyncio
import copy
import keyword
import pickle
import re
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.service import Service
from wechatpay_chain import Client, Node, PathVariableError
from wechatpay_chain._catalogue.operations import find_operation, list_operations
from wechatpay_chain._chain.template import expand

PATHS = sorted({f"/{operation.template}" for key in list_operations() if (operation := find_operation(*key))})
PARTS = {part for path in PATHS for part in path.strip("/").split("/")}
VARIABLES = sorted(part[1:-1] for part in PARTS if part.startswith("{"))
SEGMENTS = sorted(part for part in PARTS if not part.startswith("{") and part != "v2")
VERBS = ("get", "post", "put", "patch", "delete")


@pytest.fixture(scope="module")
def client(service: Service) -> Client:
    return Client(**service.settings("http://127.0.0.1:9/"))


def snake(segment: str) -> str:
    """Returns a segment in snake case; an underscore of the segment is doubled."""
    name = segment.replace("_", "__").replace("-", "_")
    return f"{name}_" if keyword.iskeyword(name) or name in VERBS else name


def plain(segment: str) -> str:
    """Returns a segment in snake case, without doubling its underscores."""
    name = segment.replace("-", "_")
    return f"{name}_" if keyword.iskeyword(name) or name in VERBS else name


def camel(segment: str) -> str:
    name = re.sub("-(.)", lambda match: match[1].upper(), segment.replace("_", "__"))
    return f"{name}_" if keyword.iskeyword(name) or name in VERBS else name


def pascal(segment: str) -> str:
    return camel(segment)[0].upper() + camel(segment)[1:]


def walk(client: Client, path: str, spell) -> Node:
    node: Node | Client = client
    for part in path.strip("/").split("/"):
        if node is client:
            node = getattr(client, {"global": "global_"}.get(part, part))
        else:
            node = getattr(node, f"_{part[1:-1]}_" if part.startswith("{") else spell(part))
    return node


def test_the_table_has_the_expected_numbers_of_segments_and_variables():
    assert len(SEGMENTS) + 1 == 738, "the empty segment of a trailing slash is one more"
    assert len(VARIABLES) == 106


@pytest.mark.parametrize("spell", [snake, camel, pascal], ids=lambda spell: spell.__name__)
def test_every_segment_can_be_spelled(client, spell):
    for segment in SEGMENTS:
        if segment.lower() == segment:
            assert str(getattr(client.v3, spell(segment))) == f"v3/{segment}"
        assert str(client.v3[segment]) == f"v3/{segment}"


def test_every_variable_can_be_spelled(client):
    for name in VARIABLES:
        node = getattr(client.v3, f"_{name}_")
        assert str(node) == f"v3/{{{name}}}"
        assert node == client.v3[f"{{{name}}}"] == client.v3[f"<{name}>"]


# The service also spells this segment with a hyphen, and an undoubled underscore means the hyphen.
TWINS = {"/v3/papay/insurance-sign/policy_periods/plan-id/{plan_id}/out-contract-code/{out_contract_code}"}


@pytest.mark.parametrize("path", [path for path in PATHS if path.split("/")[1] in ("v2", "v3", "hk", "global")])
def test_every_path_can_be_spelled(client, path):
    stripped = path.strip("/")
    assert str(client[path]) == path.removeprefix("/")
    if stripped.lower() != stripped:
        return
    for spell in [snake, camel] + ([plain] if path not in TWINS else []):
        assert str(walk(client, path, spell)) == stripped


@pytest.mark.parametrize(
    ("attribute", "segment"),
    [
        ("preSendCoupon", "pre-send-coupon"),
        ("PreSendCoupon", "pre-send-coupon"),
        ("pre_send_coupon", "pre-send-coupon"),
        ("Pre_Send_coupon", "pre-send-coupon"),
        ("sub__merchants", "sub_merchants"),
        ("subMerchants__x", "sub-merchants_x"),
        ("return_", "return"),
        ("import_", "import"),
        ("delete_", "delete"),
        ("getAsync_", "get-async"),
        ("chain_", "chain"),
        ("complaintsV2", "complaints-v2"),
        ("h5PreEntrustSign", "h5-pre-entrust-sign"),
        ("nQualifications", "n-qualifications"),
        ("applyment4sub", "applyment4sub"),
        ("_openid_", "{openid}"),
        ("_out_trade_no_", "{out_trade_no}"),
        ("_outTradeNo_", "{outTradeNo}"),
    ],
)
def test_an_attribute_is_a_segment(client, attribute, segment):
    assert str(getattr(client.v3, attribute)) == f"v3/{segment}"


@pytest.mark.parametrize(
    "attribute", ["_private", "__len__", "__class_getitem__", "_", "__", "___", "_x", "名", "_名_", "a-b", ""]
)
def test_an_attribute_that_is_no_segment_is_refused(client, attribute):
    with pytest.raises(AttributeError):
        getattr(client.v3, attribute)


@pytest.mark.parametrize(
    ("path", "template"),
    [
        ("v3/A_b/{c}/", "v3/A_b/{c}/"),
        ("/v3/a", "v3/a"),
        ("v3/<openid>/x", "v3/{openid}/x"),
        ("v3/<+rest>", "v3/{+rest}"),
        ("v3/{+rest}", "v3/{+rest}"),
        ("v3/x{?a,b}", "v3/x{?a,b}"),
    ],
)
def test_a_path_is_taken_as_written(client, path, template):
    assert str(client[path]) == template
    assert client[path] == client.chain(path)
    assert str(client.v3["x"][path]) == f"v3/x/{template}"


def test_chains_begin_at_the_roots_of_the_client(client):
    roots = {name: str(getattr(client, name)) for name in ("v2", "v3", "hk", "global_", "brand")}
    assert roots == {"v2": "v2", "v3": "v3", "hk": "hk", "global_": "global", "brand": "brand"}
    for name in ("v4", "notifications_", "pay", "V3", "postAsync", "_v3_"):
        with pytest.raises(AttributeError, match="v2, v3, hk, global_, brand"):
            getattr(client, name)
    with pytest.raises(AttributeError, match="did you mean 'close'"):
        client.closed  # noqa: B018


def test_a_trailing_slash_is_not_doubled(client):
    assert str(client["v3/a/"].b) == str(client["v3/a/"]["/b"]) == "v3/a/b"


def test_a_node_has_only_verbs_and_chain(client):
    verbs = {f"{verb}{mode}" for verb in VERBS for mode in ("", "_async")}
    assert set(dir(client.v3)) == {"chain", *verbs}
    public = {name for kind in Node.__mro__[:-1] for name in vars(kind) if not name.startswith("_")}
    assert public == {"chain", *verbs}


def test_a_node_is_immutable_and_hashable_and_its_own_copy(client, service):
    node = client.v3.pay._x_
    assert node == client["v3/pay/{x}"]
    assert hash(node) == hash(client["v3/pay/<x>"])
    assert node != client.v3.pay
    assert node != "v3/pay/{x}"
    assert node != Client(**service.settings("http://127.0.0.1:9/")).v3.pay._x_
    assert copy.copy(node) is node
    assert copy.deepcopy(node) is node
    assert repr(node) == "<Node v3/pay/{x}>"
    assert len({node: 1, client["v3/pay/{x}"]: 2}) == 1
    for change in (
        lambda: setattr(node, "x", 1),
        lambda: setattr(node, "_template", "y"),
        lambda: delattr(node, "_client"),
    ):
        with pytest.raises(AttributeError, match="immutable"):
            change()
    with pytest.raises((TypeError, AttributeError, pickle.PicklingError)):
        pickle.dumps(node)


@pytest.mark.parametrize(
    ("call", "advice"),
    [
        (lambda client: client.v3.x.postAsync(json={}), "post_async"),
        (lambda client: client.v3.x.getAsync(), "get_async"),
        (lambda client: client.v3.x.Get(), r"\.get\("),
        (lambda client: client.v3.x.delete_async_(), "delete_async"),
        (lambda client: client.v3.pre_send_coupon(openid="x"), "post"),
    ],
)
def test_the_error_of_a_called_node_suggests_a_verb(client, call, advice):
    with pytest.raises(TypeError, match=advice):
        call(client)


def test_a_path_that_is_no_text_is_refused(client):
    for path in (1, None, b"v3", ("v3",)):
        with pytest.raises(TypeError, match="is a text such as"):
            client[path]
    with pytest.raises(TypeError):
        list(client.v3)


def refusal(client, template, **variables) -> str:
    """Returns the error message of a call in both modes. If the call were sent, port 9 would cause another error."""
    with pytest.raises(PathVariableError) as caught:
        client[template].post(**variables)
    with pytest.raises(PathVariableError) as awaited:
        asyncio.run(client[template].post_async(**variables))
    assert str(caught.value) == str(awaited.value)
    return str(caught.value)


def test_the_error_of_wrong_variables_names_the_right_ones(client):
    message = refusal(client, "v3/users/{openid}/x/{coupon_code}", open_id="x", coupon_code="c")
    assert "coupon_code, openid" in message
    assert "openid is missing" in message
    assert "did you mean openid=?" in message
    assert "params" in refusal(client, "v3/x", query={"a": 1})
    assert "json" in refusal(client, "v3/x", data={"a": 1})
    assert "json" in refusal(client, "v3/x", jsn={"a": 1})
    assert "is missing" in refusal(client, "v3/{a}")
    assert "is not one of them" in refusal(client, "v3/{a}", a="x", zzzz="y")


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        ".",
        "..",
        "a\0",
        "a\rb",
        "\n",
        "\ud800",
        True,
        1.5,
        b"x",
        object(),
        [],
        {},
        (),
        [""],
        ["."],
        {"": "x"},
        {"a": None},
        [None],
    ],
)
def test_unsafe_values_are_refused(client, value):
    assert "v3/{a}: a " in refusal(client, "v3/{a}", a=value)


@pytest.mark.parametrize(
    ("template", "variables"),
    [
        ("v3/{+a}", {"a": "x/../y"}),
        ("v3/{+a}", {"a": "./y"}),
        ("v3/{+a}/z", {"a": "%2e%2E"}),
        ("v3/.{a:1}", {"a": ".x"}),
        ("v3/../x", {}),
        ("v3/%2e/x", {}),
        ("v3/.", {}),
    ],
)
def test_segments_that_servers_would_normalize_are_refused(client, template, variables):
    assert "'.'" in refusal(client, template, **variables)


@pytest.mark.parametrize(
    "template",
    ["v3/{", "v3/}", "v3/{}", "v3/{a", "v3/{{a}}", "v3/{#a}", "v3/{=a}", "v3/{a b}", "v3/#x", "v3/%zz", "v3/a\\b", "v3/a\nb",
     "v3/<a", "v3/\ud800", "https://api.mch.weixin.qq.com/v3/x", "", "/", "v3/{a:0}", "v3/{a=b}"],
)  # fmt: skip
def test_malformed_templates_are_refused(client, template):
    assert "is not a template" in refusal(client, template)


def test_keywords_of_the_verbs_are_refused_as_variables(client):
    for name in ("json", "params", "headers", "timeout"):
        assert "is a keyword of the verbs" in refusal(client, f"v3/{{{name}}}")
    assert expand_template(client, "v3/{self}", self="x") == "/v3/x"


def test_a_number_that_is_too_long_is_refused(client):
    assert "too many digits" in refusal(client, "v3/{a}", a=10**5000)


def expand_template(client, template, **variables) -> str:
    from wechatpay_chain._chain.template import expand

    return expand(str(client[template]), variables)


def test_the_variable_empty_makes_a_trailing_slash(client):
    for variables in ({}, {"empty": ""}):
        assert expand_template(client, "v3/ecommerce/applyments/{empty}", **variables) == "/v3/ecommerce/applyments/"
        assert str(client.v3.ecommerce.applyments._empty_) == "v3/ecommerce/applyments/{empty}"


# The examples of RFC 6570, 1.2 and 3.2, without operators that a request target cannot have and values that we refuse.
RFC_VALUES = {
    "var": "value",
    "hello": "Hello World!",
    "path": "/foo/bar",
    "half": "50%",
    "who": "fred",
    "base": "http://example.com/home/",
    "dub": "me/too",
    "v": 6,
    "x": 1024,
    "y": 768,
    "list": ["red", "green", "blue"],
    "keys": {"comma": ","},
    "count": ("one", "two"),
}


@pytest.mark.parametrize(
    ("template", "target"),
    [
        ("{var}", "value"),
        ("{hello}", "Hello%20World%21"),
        ("{half}", "50%25"),
        ("O{x}X", "O1024X"),
        ("{x,y}", "1024,768"),
        ("{x,hello,y}", "1024,Hello%20World%21,768"),
        ("{var:3}", "val"),
        ("{var:30}", "value"),
        ("{list}", "red,green,blue"),
        ("{list*}", "red,green,blue"),
        ("{keys}", "comma,%2C"),
        ("{keys*}", "comma=%2C"),
        ("{+var}", "value"),
        ("{+hello}", "Hello%20World!"),
        ("{+half}", "50%25"),
        ("{base}index", "http%3A%2F%2Fexample.com%2Fhome%2Findex"),
        ("{+base}index", "http://example.com/home/index"),
        ("{+path}/here", "/foo/bar/here"),
        ("here?ref={+path}", "here?ref=/foo/bar"),
        ("up{+path}{var}/here", "up/foo/barvalue/here"),
        ("{+x,hello,y}", "1024,Hello%20World!,768"),
        ("{+path:6}/here", "/foo/b/here"),
        ("{+list}", "red,green,blue"),
        ("X{.var}", "X.value"),
        ("X{.x,y}", "X.1024.768"),
        ("www{.list*}", "www.red.green.blue"),
        ("{/who}", "/fred"),
        ("{/half,who}", "/50%25/fred"),
        ("{/who,dub}", "/fred/me%2Ftoo"),
        ("{/var,x}/here", "/value/1024/here"),
        ("{/var:1,var}", "/v/value"),
        ("{/list*}", "/red/green/blue"),
        ("{;who}", ";who=fred"),
        ("{;half}", ";half=50%25"),
        ("{;v,who}", ";v=6;who=fred"),
        ("{;list*}", ";list=red;list=green;list=blue"),
        ("{?who}", "?who=fred"),
        ("{?x,y}", "?x=1024&y=768"),
        ("{?count*}", "?count=one&count=two"),
        ("?fixed=yes{&x}", "?fixed=yes&x=1024"),
        ("{&var:3}", "&var=val"),
    ],
)
def test_templates_expand_as_in_rfc_6570(client, template, target):
    names = set(re.findall(r"[a-z]+(?=[,:*}])", "".join(re.findall(r"\{[^}]*\}", template))))
    assert expand_template(client, f"v3/-{template}", **{name: RFC_VALUES[name] for name in names}) == f"/v3/-{target}"


def test_query_variables_may_be_left_out(client):
    assert expand_template(client, "v3/x{?a,b}", b=0) == "/v3/x?b=0"
    assert expand_template(client, "v3/x{?a,b}") == "/v3/x"


@given(st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0\r\n"), min_size=1))
def test_a_value_makes_exactly_one_segment(client, value):
    if value in (".", ".."):
        return
    target = expand_template(client, "v3/{a}/z", a=value)
    assert target.isascii()
    *before, segment, after = target.split("/")
    assert (before, after) == (["", "v3"], "z")
    assert unquote(segment, errors="strict") == value


@given(
    value=st.text(min_size=1, max_size=30).filter(
        lambda text: text not in (".", "..") and not set(text) & set("\0\r\n")
    ),
    prefix=st.sampled_from(["v3/a", "v3/a-b/c_d", "v3/(x),;=:@/y", "v3/x?query=1&z"]),
)
def test_a_format_string_expands_like_the_library(value, prefix):
    """The uritemplate library expands a list of one item, and a format string expands a text."""
    try:
        by_library = expand(f"{prefix}/{{name}}/end", {"name": [value]})
    except PathVariableError:
        return
    assert expand(f"{prefix}/{{name}}/end", {"name": value}) == by_library
