"""What identifies a guest: phone, e-mail, document, membership number, ids of other systems.

Phones, e-mail addresses and document numbers are encrypted; beside the ciphertext stand keyed
blind indexes for equality and for the last four characters (see `members.rules.identity`
for the normal form and `members.services.vault` for the keys).
"""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from members.models.guest import Guest


class GuestIdentity(models.Model):
    """One identity of one guest; unique per kind and issuer over the whole group."""

    class Kind(models.TextChoices):
        """What sort of identity it is."""

        PHONE = "phone", _("phone")
        EMAIL = "email", _("e-mail")
        DOCUMENT = "document", _("identity document")
        MEMBERSHIP = "membership", _("membership number")
        WECHAT_OPENID = "wechat_openid", _("WeChat openid")
        WECHAT_UNIONID = "wechat_unionid", _("WeChat unionid")
        EXTERNAL = "external", _("id in another system")

    guest = models.ForeignKey(Guest, models.CASCADE, related_name="identities", verbose_name=_("guest"))
    kind = models.CharField(_("kind"), max_length=20, choices=Kind)
    # The document type (id_card, passport…), programme code, WeChat app or external system.
    issuer = models.CharField(_("issuer"), max_length=40, blank=True)
    # Ciphertext of the normal form for personal kinds, else its plain UTF-8 bytes.
    value = models.BinaryField(editable=False)
    value_index = models.BinaryField(max_length=16, editable=False)
    last4_index = models.BinaryField(max_length=16, null=True, editable=False)
    masked = models.CharField(_("shown as"), max_length=80)
    is_primary = models.BooleanField(_("primary"), default=False)
    verified_at = models.DateTimeField(_("verified at"), null=True, blank=True)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    class Meta:
        verbose_name = _("identity")
        verbose_name_plural = _("identities")
        constraints = [
            models.CheckConstraint(
                condition=Q(
                    kind__in=[
                        "phone",
                        "email",
                        "document",
                        "membership",
                        "wechat_openid",
                        "wechat_unionid",
                        "external",
                    ]
                ),
                name="members_guestidentity_kind_known",
            ),
            models.UniqueConstraint(
                fields=["kind", "issuer", "value_index"],
                name="members_guestidentity_unique",
                violation_error_message=_("Another guest has this phone, e-mail, document or number already."),
            ),
            models.UniqueConstraint(
                fields=["guest", "kind"],
                condition=Q(is_primary=True),
                name="members_guestidentity_one_primary",
                violation_error_message=_("The guest has a primary one of this kind already."),
            ),
        ]
        indexes = [
            models.Index(
                F("last4_index"),
                F("id").desc(),
                include=["guest", "kind"],
                condition=Q(last4_index__isnull=False),
                name="members_identity_last4",
            ),
            # The index of a value is bound to its kind, so one look finds what was typed in every kind.
            models.Index(fields=["value_index"], name="members_identity_value"),
            models.Index(fields=["value"], condition=Q(kind="membership"), name="members_identity_number"),
        ]

    def __str__(self) -> str:
        return f"{self.kind}: {self.masked}"
