"""The programme: tiers, earning rules, the points ledger, redemption."""

from importlib import import_module

from django.apps import AppConfig
from django.core import checks
from django.utils.translation import gettext_lazy as _


class LoyaltyConfig(AppConfig):
    """Knows guests and stays; reacts to their signals in `loyalty.receivers`."""

    name = "loyalty"
    verbose_name = _("Loyalty")

    def ready(self) -> None:
        """Connect the reactions to the signals of `members`, check the ledger's guards."""
        import_module("loyalty.rules.qualification").register_qualification()
        import_module("loyalty.receivers")
        import_module("loyalty.selectors.member_facts").register_member_fields()
        checks.register(import_module("loyalty.selectors.verification").check_guards, checks.Tags.database)
        import_module("loyalty.services.merging").register()
        self._join_guest_card()

    def _join_guest_card(self) -> None:
        panels = import_module("members.selectors.panels")
        card = import_module("loyalty.selectors.card")
        panels.register_guest_marks(card.guest_marks)
        friends = import_module("loyalty.selectors.friends")
        panels.register_guest_panel(
            panels.GuestPanel("loyalty.friends", "loyalty/card/friends.html", friends.friends_context, 20, "side")
        )
        for order, (name, column) in enumerate(
            [("chip", "chips"), ("number", "facts"), ("figures", "figures"), ("benefits", "main"), ("lines", "main")]
        ):
            panels.register_guest_panel(
                panels.GuestPanel(f"loyalty.{name}", f"loyalty/card/{name}.html", card.card_context, order, column)
            )
        redemptions = import_module("loyalty.selectors.redemptions")
        panels.register_guest_panel(
            panels.GuestPanel(
                "loyalty.redemptions", "loyalty/card/redemptions.html", redemptions.card_context, 6, "side"
            )
        )
        approvals = import_module("loyalty.selectors.approvals")
        panels.register_guest_panel(
            panels.GuestPanel("loyalty.approvals", "loyalty/card/approvals.html", approvals.card_context, 1, "main")
        )
        vouchers = import_module("loyalty.selectors.voucher_card")
        panels.register_guest_panel(
            panels.GuestPanel("loyalty.vouchers", "loyalty/card/vouchers.html", vouchers.card_context, 5, "side")
        )
        wallet = import_module("loyalty.selectors.wallet_card")
        panels.register_guest_panel(
            panels.GuestPanel("loyalty.wallet", "loyalty/card/wallet.html", wallet.card_context, 4, "side")
        )
