"""The types of operations and notifications, at run time: they import, their hints resolve, and they are what the catalogue says."""

from __future__ import annotations

import importlib
import inspect
import keyword
import os
import pkgutil
import re
import subprocess
import sys

import pytest
import typing_extensions
from pydantic import TypeAdapter, ValidationError

import wechatpay_chain.types
from tests.service import Service
from tools.catalogue.events import Events
from tools.catalogue.modules import products
from tools.catalogue.tree import grow
from wechatpay_chain import Client, Sensitive
from wechatpay_chain._catalogue.operations import list_operations
from wechatpay_chain.types import notifications, v3
from wechatpay_chain.types.v3 import pay

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(wechatpay_chain.types.__path__, "wechatpay_chain.types.")
    if not module.ispkg and not module.name.rpartition(".")[2].startswith("_")
)
ROOTS = grow()
PLACES = [place for root in ROOTS.values() for place in root.walk()]


def typed_dicts(namespace, prefix=""):
    """Yields the name and the class of every TypedDict of a module."""
    for name, value in vars(namespace).items():
        if inspect.isclass(value) and value.__module__ == getattr(namespace, "__module__", namespace.__name__):
            if typing_extensions.is_typeddict(value):
                yield f"{prefix}{name}", value
            else:
                yield from typed_dicts(value, f"{prefix}{name}.")


@pytest.fixture(scope="module")
def client(service: Service) -> Client:
    return Client(**service.settings("http://127.0.0.1:9/"))


@pytest.fixture(scope="module")
def definitions():
    """The definitions of the generator, by module and name."""
    found: dict = {}
    for product in products(ROOTS):
        name = f".{product.name}" if product.has_module else ""
        found.setdefault(f"wechatpay_chain.types.{product.root}{name}", {}).update(product.definitions)
    return {**found, "wechatpay_chain.types.notifications": Events().definitions}


def test_the_numbers_of_modules_and_types(definitions):
    assert len(MODULES) == 84
    assert sum(len(of_module) for of_module in definitions.values()) > 4600
    assert definitions.keys() == set(MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_every_hint_resolves_and_every_key_is_as_defined(name, definitions):
    module = importlib.import_module(name)
    found = dict(typed_dicts(module))
    assert found.keys() == definitions[name].keys()
    for qualified, typed in found.items():
        members = {member.name: member for member in definitions[name][qualified].members}
        hints = typing_extensions.get_type_hints(typed)
        assert hints.keys() == members.keys()
        assert typed.__required_keys__ == {member.name for member in members.values() if member.required}
        assert not any(isinstance(hint, (str, typing_extensions.ForwardRef)) for hint in hints.values())


@pytest.mark.parametrize(
    "typed", [pay.transactions.native.PostBody, v3.refund.domestic.refunds.PostBody, notifications.RefundSuccess]
)
def test_the_hints_of_the_standard_library_resolve_too(typed):
    import typing

    assert typing.get_type_hints(typed).keys() == typed.__annotations__.keys()


def test_pydantic_validates_with_them():
    order = TypeAdapter(v3.pay.transactions.native.PostBody)
    body = {
        "appid": "wx",
        "mchid": "1",
        "description": "d",
        "out_trade_no": "1",
        "notify_url": "https://a.example",
        "amount": {"total": 1},
    }
    assert order.validate_python(body) == body
    with pytest.raises(ValidationError, match=r"amount\.total"):
        order.validate_python({**body, "amount": {}})
    refund = TypeAdapter(v3.refund.domestic.refunds.PostBody)
    with pytest.raises(ValidationError, match=r"amount\.from"):
        refund.validate_python(
            {"out_refund_no": "1", "amount": {"refund": 1, "total": 1, "currency": "CNY", "from": "AVAILABLE"}}
        )


def test_pydantic_takes_a_text_that_is_to_be_encrypted():
    transfer = TypeAdapter(v3.fund_app.mch_transfer.transfer_bills.PostBody)
    body = {
        "appid": "wx",
        "out_bill_no": "1",
        "transfer_scene_id": "1000",
        "openid": "o",
        "transfer_amount": 1,
        "transfer_remark": "r",
        "transfer_scene_report_infos": [],
        "user_name": (name := Sensitive("张三")),
    }
    assert transfer.validate_python(body)["user_name"] is name
    with pytest.raises(ValidationError, match="user_name"):
        transfer.validate_python({**body, "user_name": 5})


@pytest.mark.parametrize("name", MODULES)
def test_pydantic_takes_every_type(name):
    for _, typed in typed_dicts(importlib.import_module(name)):
        TypeAdapter(typed)


def test_every_attribute_goes_through_the_chain_to_its_path_and_back(client):
    for place in PLACES:
        node = client
        for each in place.line:
            assert each.attribute.isidentifier()
            assert not keyword.iskeyword(each.attribute)
            node = getattr(node, each.attribute)
        assert str(node).replace("{empty}", "") == place.template  # `_empty_` is a trailing slash
        assert place.template.endswith("/") or client[place.template] == node
    assert sum(len(place.operations) for place in PLACES) == len(list_operations()) == 1153


def test_a_type_is_found_by_the_name_of_its_chain():
    for place in PLACES:
        if not place.operations or len(place.line) < 3:
            continue
        root, product, *names = (each.name for each in place.line)
        found = importlib.import_module(f"wechatpay_chain.types.{root}")
        for name in [product, *names]:
            found = getattr(found, name, None)
            if found is None:
                break
        if found is not None:
            for name in vars(found):
                if re.match(r"(Get|Post|Put|Patch|Delete)(Body|Query|Result)$", name):
                    assert name[: re.match("[A-Z][a-z]+", name).end()].lower() in place.operations


def test_modules_are_imported_when_they_are_used():
    code = """
import sys
import wechatpay_chain.types
from wechatpay_chain.types import v3
before = {name for name in sys.modules if name.startswith("wechatpay_chain.types.v3.")}
v3.pay.transactions.native.PostBody
after = {name for name in sys.modules if name.startswith("wechatpay_chain.types.v3.")}
print(sorted(before), sorted(after))
print("cryptography" in sys.modules, "requests" in sys.modules)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert run.stdout == "[] ['wechatpay_chain.types.v3.pay']\nFalse False\n"


@pytest.mark.parametrize("package", [wechatpay_chain.types, v3])
def test_an_unknown_name_is_an_attribute_error(package):
    assert "pay" in dir(v3)
    with pytest.raises(AttributeError, match="no attribute 'natve'"):
        package.natve  # noqa: B018
    with pytest.raises(AttributeError, match="no attribute '_pay'"):
        package._pay  # noqa: B018


def test_no_name_of_a_type_is_private():
    """A type checker in its strict mode refuses a private name outside its module, such as `applyments._empty_.PostBody`."""
    for name in MODULES:
        for qualified, _ in typed_dicts(importlib.import_module(name)):
            assert not any(part.startswith("_") for part in qualified.split(".")), qualified
    assert v3.ecommerce.applyments.empty.PostBody.__required_keys__
    assert v3.applyment4sub.applyment.empty.PostBody.__required_keys__


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_child_forked_during_the_first_use_of_a_type_can_use_it_too():
    """A child cannot finish an import of its parent."""
    code = """
import os, signal, sys, threading, time

class SlowFinder:
    def find_spec(self, name, path=None, target=None):
        if name in ("wechatpay_chain.types._lazy", "wechatpay_chain.types.v3.pay"):
            time.sleep(0.3)

sys.meta_path.insert(0, SlowFinder())
from wechatpay_chain import types
thread = threading.Thread(target=lambda: types.v3.pay)
thread.start()
time.sleep(0.1)
child = os.fork()
if child == 0:
    signal.alarm(10)
    types.v3.pay.transactions.native.PostBody
    os._exit(0)
print(os.waitpid(child, 0)[1])
thread.join()
"""
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert run.stdout == "0\n"
