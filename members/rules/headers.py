"""Which column of a guest sheet holds what: names of columns seen in hotels' files, in Chinese and English."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

# Fields that an import writes, in the order the mapping page offers them.
FIELDS = {
    "name": pgettext_lazy("guest", "name"),
    "phone": _("mobile number"),
    "email": _("e-mail"),
    "id_card": _("ID card number"),
    "passport": _("passport number"),
    "document_type": _("kind of document"),
    "document_number": _("document number (kind in another column)"),
    "gender": _("gender"),
    "birthday": _("birthday"),
    "nationality": _("nationality"),
    "company": _("company"),
    "member_no": _("membership number (as a number to find the guest by)"),
    "remark": _("remark (becomes a note about the guest)"),
}
# A guest is found again by one of these, so a sheet needs one of them.
IDENTIFYING = frozenset({"phone", "email", "id_card", "passport", "document_number", "member_no"})
# Columns that are recognized, so that the page can say why they are left out.
NOT_IMPORTED = {
    "tier": _("tier"),
    "points": _("points"),
    "stays": _("number of stays"),
    "nights": _("nights"),
    "amount": _("amount"),
    "arrival": _("arrival"),
    "departure": _("departure"),
    "room_no": _("room"),
    "room_type": _("room type"),
    "rate_plan": _("rate plan"),
    "channel": _("channel"),
    "order_no": _("order number"),
    "status": _("status"),
    "report": _("report of an earlier import"),
}

_ALIASES = {
    "name": "姓名 客户姓名 客人姓名 宾客姓名 入住人 联系人 证件姓名 顾客姓名 住客 会员姓名 住客姓名 中文姓名 名字 name "
    "fullname guestname customername guest",
    "phone": "手机号 手机号码 手机 联系电话 联系方式 电话 电话号码 移动电话 入住人电话 联系人电话 联系手机 phone mobile "
    "phonenumber mobilenumber mobilephone cellphone telephone tel",
    "email": "邮箱 电子邮箱 电子邮件 邮件 邮箱地址 email emailaddress mail",
    "id_card": "身份证 身份证号 身份证号码 居民身份证号 居民身份证号码 idcard idcardnumber idcardno",
    "passport": "护照 护照号 护照号码 passport passportnumber passportno",
    "document_type": "证件类型 证件号码类型 证件种类 证件类别 idtype documenttype",
    "document_number": "证件号 证件号码 证件编号 idnumber idno documentnumber documentno",
    "gender": "性别 称谓 gender sex title",
    "birthday": "生日 出生日期 出生年月 出生年月日 birthday birthdate dateofbirth dob",
    # 籍贯, the native place, is left out on purpose: it names a Chinese town, not a nationality.
    "nationality": "国籍 国家 国家地区 nationality country citizenship",
    "company": "公司 公司名称 单位 单位名称 工作单位 协议单位 company companyname organization employer",
    "remark": "备注 备注信息 房间备注 宾客喜好 客人喜好 喜好 说明 remark remarks note notes comment comments preference preferences",
    "member_no": "会员卡号 会员编号 会员id 会员号 卡号 memberno membernumber membershipnumber cardnumber",
    "tier": "会员等级 客户类型 vip等级 等级 会员级别 tier level memberlevel membertier",
    "points": "会员积分 积分 可用积分 积分余额 points balance pointsbalance",
    "stays": "入住次数 stays staycount",
    "nights": "晚数 间夜 入住天数 nights",
    "amount": "总价 金额 房费 房价 底价元 消费金额 入住金额 累计消费金额 累计消费 amount total revenue totalspend",
    "arrival": "入住日期 入住时间 到店日期 抵店日期 实际入住时间 arrival arrivaldate checkin checkindate",
    "departure": "离店日期 退房日期 退房时间 预计退房日期 离店时间 departure departuredate checkout checkoutdate",
    "room_no": "房号 房间号 房间号码 客房编号 room roomno roomnumber",
    "room_type": "房型 房间类型 roomtype",
    "rate_plan": "价格计划 价格类型 房价码 rateplan ratecode",
    "channel": "渠道 预订渠道 预订来源 客户来源 channel source",
    "order_no": "订单号 crs订单号 渠道订单号 预订单号 预订号 入住单号 orderno bookingno reservationno confirmationnumber",
    "report": "问题 行号 problem row",
    "status": "状态 预订状态 订单状态 入住状态 客户状态 status",
}
ALIASES = {alias: field for field, aliases in _ALIASES.items() for alias in aliases.split()}

# A title, a note and a blank line may stand above the header.
HEADER_SEARCH_ROWS = 20
_PARENTHESES = re.compile(r"\([^)]*\)|\[[^\]]*\]")
_NOISE = re.compile(r"[\s*_\-–—:./\\#'\"“”]+")


@dataclass(frozen=True, slots=True)
class Column:
    """What is known of one column of a file.

    Attributes:
        index: Position from 0.
        header: As it stands in the file.
        field: Field of `FIELDS` that it goes to; empty for a column left out.
        known_as: Field of `NOT_IMPORTED`, or of `FIELDS` where another column took it first.
    """

    index: int
    header: str
    field: str = ""
    known_as: str = ""


def header_key(header: str) -> str:
    """The header without case, width, spaces, stars and what stands in brackets: `* 手机号（必填）` is `手机号`."""
    text = unicodedata.normalize("NFKC", header).lower()
    return _NOISE.sub("", _PARENTHESES.sub("", text)) or _NOISE.sub("", text)


def recognize(header: str) -> str:
    """The field of `FIELDS` or `NOT_IMPORTED` that a header names, or an empty string."""
    return ALIASES.get(header_key(header), "")


def guess_columns(headers: Sequence[str], *, remembered: Mapping[str, str] | None = None) -> list[Column]:
    """What each column holds; the first of several columns for one field gets it.

    Args:
        headers: The header row.
        remembered: `header_key` of a header → the field chosen for it before, empty for none; goes before any guess.
    """
    chosen = remembered or {}
    taken: set[str] = set()
    columns = []
    for index, header in enumerate(headers):
        field = chosen.get(header_key(header), recognize(header))
        if field in FIELDS and field not in taken:
            taken.add(field)
            columns.append(Column(index, header, field=field))
        else:
            columns.append(Column(index, header, known_as=field))
    return columns


def duplicated_headers(headers: Sequence[str]) -> list[str]:
    """Headers that stand in the file more than once, in order of appearance."""
    keys = [header_key(header) for header in headers]
    first = {key: header for key, header in reversed(list(zip(keys, headers, strict=True))) if key}
    return [header for key, header in first.items() if keys.count(key) > 1][::-1]


def find_header_row(rows: Sequence[Sequence[str]]) -> int:
    """Position of the header among the first rows: the row with most recognized names, else the first one.

    Args:
        rows: The first rows that are not blank, as text.
    """
    scores = [len({recognize(cell) for cell in row} - {""}) for row in rows[:HEADER_SEARCH_ROWS]]
    return scores.index(max(scores)) if scores else 0
