"""The sections of the site, and which products each has: the catalogue has 54 products, half of them with fewer than ten operations."""

from __future__ import annotations

from typing import NamedTuple

from wechatpay_chain._catalogue.operations import Operation

__all__ = ["SECTIONS", "Section", "find_section", "name_product", "rank_product"]


class Section(NamedTuple):
    """A section of the navigation.

    Attributes:
        name: its name in Chinese.
        english: its name in English.
        slug: the name of its page.
        products: the first tags of its operations; an operation of APIv2 is in the section of APIv2, whatever its tags are.
        paths: how the paths of its operations without a tag begin, each with the name of the product.
    """

    name: str
    english: str
    slug: str
    products: tuple[str, ...]
    paths: tuple[tuple[str, str], ...] = ()

    @property
    def types_slug(self) -> str:
        """The name of the page of its types."""
        return f"types-{self.slug}"


SECTIONS = (
    Section(
        "基础支付",
        "Payments",
        "payment",
        ("基础支付", "支付中签约", "刷脸支付", "微信刷掌", "微信分付", "医保支付", "支付码牌", "沙箱环境"),
    ),
    Section(
        "支付分与代扣",
        "Pay score and automatic payments",
        "payscore",
        (
            "支付分",
            "委托代扣",
            "免密支付",
            "ETC授权扣费",
            "自动还款",
            "还款支付",
            "电动自行车行业代扣",
            "乘车服务",
            "停车缴费服务",
            "租用充电宝",
        ),
    ),
    Section(
        "运营工具",
        "Marketing",
        "marketing",
        ("运营工具", "营销工具", "品牌小店营销", "品牌红包", "国补专区", "智慧经营", "爱心餐"),
    ),
    Section(
        "经营工具",
        "Business tools",
        "business",
        (
            "经营工具",
            "会员卡",
            "商家名片会员",
            "商家名片会员活动",
            "品牌",
            "微信寄快递",
            "出租车电子发票",
            "微信保单服务",
        ),
    ),
    Section("资金应用", "Transfers and funds", "funds", ("资金应用", "企业支付", "商家充值")),
    Section(
        "收付通",
        "Platforms",
        "ecommerce",
        ("收付通",),
        (("/v3/platsolution/ecommerce/", "平台方案"), ("/v3/combine-transactions/", "个人收款")),
    ),
    Section(
        "服务商与进件",
        "Service providers and applyments",
        "partner",
        ("服务商", "渠道服务", "商户管理记录", "结算规则管理", "变更超管", "修改商家简称"),
    ),
    Section("风险合规", "Risk and compliance", "risk", ("风险合规", "风险管理", "商户尽职调查", "实名校验")),
    Section("教育", "Education", "education", ("教育续费通", "校园轻松付", "学生卡身份权益")),
    Section("跨境", "Cross-border", "global", ("跨境",)),
    Section("通用接口", "Common", "common", ("通用接口",)),
    Section("APIv2", "APIv2", "apiv2", ()),
)
"""In the order of the navigation."""


def find_section(operation: Operation) -> Section:
    """Returns the section of an operation.

    Raises:
        ValueError: no section has its product.
    """
    if operation.api == "v2":
        return SECTIONS[-1]
    product = _split_tag(operation)[0]
    for section in SECTIONS:
        if product in section.products or (not product and _find_path(section, operation)):
            return section
    raise ValueError(f"{operation.path}: no section has its product {product!r}; add it to SECTIONS in sections.py")


def name_product(operation: Operation) -> str:
    """Returns the name of the product of an operation within its section."""
    first, rest = _split_tag(operation)
    section = find_section(operation)
    if not first:
        return _find_path(section, operation)
    names = rest if first == section.name else (first, *rest)
    return " · ".join(names) or "通用"


def rank_product(operation: Operation) -> tuple[int, int]:
    """Returns by what the products of a section are sorted: as SECTIONS names them, each before its parts."""
    first, rest = _split_tag(operation)
    section = find_section(operation)
    return (section.products.index(first) if first in section.products else len(section.products)), len(rest)


def _split_tag(operation: Operation) -> tuple[str, tuple[str, ...]]:
    first, *rest = operation.tags[0].split("∙") if operation.tags else ("",)
    return first, tuple(rest)


def _find_path(section: Section, operation: Operation) -> str:
    return next((product for start, product in section.paths if operation.path.startswith(start)), "")
