"""The demo's accounts, one for each role. Their password is public: never on a real installation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hotels.models import Role

PASSWORD = "guike-demo-2026"  # noqa: S105 - shown to everybody who starts the demo


@dataclass(frozen=True)
class Login:
    """An account: its role, and where the role holds."""

    username: str
    role: str
    scope: Literal["group", "brand", "property"]
    title: str
    title_en: str
    display_name: str


LOGINS = (
    Login("reception", Role.RECEPTIONIST, "property", "前台接待（上海外滩店）", "receptionist (Shanghai Bund)", "林晓"),
    Login("service", Role.GUEST_SERVICE, "property", "宾客服务（上海外滩店）", "guest service (Shanghai Bund)", "周敏"),
    Login("marketing", Role.MARKETER, "group", "市场营销（集团）", "marketer (group)", "苏婷"),
    Login(
        "manager",
        Role.PROPERTY_MANAGER,
        "property",
        "酒店经理（上海外滩店）",
        "property manager (Shanghai Bund)",
        "赵伟",
    ),
    Login("group", Role.GROUP_MANAGER, "group", "集团经理", "group manager", "沈岚"),
    Login("auditor", Role.AUDITOR, "group", "审计（集团）", "auditor (group)", "韩磊"),
)
