"""What is used and made while working on a ticket: texts, files, and what makes up for it."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from feedback.models.calendars import PlaceOrGroupQuerySet
from feedback.models.tickets import Ticket
from hotels.models import BilingualName, Property
from hotels.models.organisation import currency_validator
from loyalty.models import Voucher


class Macro(BilingualName):
    """A text that agents reply with often, in both languages."""

    property = models.ForeignKey(
        Property, models.CASCADE, null=True, blank=True, related_name="+", verbose_name=_("property")
    )
    category = models.CharField(
        _("category"), max_length=20, choices=Ticket.Category, blank=True, help_text=_("Empty: for all.")
    )
    text = models.TextField(_("text (Chinese)"), help_text=_("{guest} stands for the guest's name."))
    text_en = models.TextField(_("text (English)"), blank=True)
    is_active = models.BooleanField(_("active"), default=True)

    objects = PlaceOrGroupQuerySet.as_manager()

    class Meta:
        verbose_name = _("reply text")
        verbose_name_plural = _("reply texts")
        constraints = [
            models.CheckConstraint(
                condition=Q(
                    category__in=["", "room", "cleanliness", "noise", "service", "food", "billing", "loyalty", "other"]
                ),
                name="feedback_macro_category_known",
            ),
        ]


def attachment_path(attachment: Attachment, _filename: str) -> str:
    """Where a file lies: by random name only, because what a sender calls it is not to be trusted."""
    return f"feedback/{attachment.public_id.hex[:2]}/{attachment.public_id.hex}"


class Attachment(models.Model):
    """A file on a ticket; it is read only through a view that checks rights."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    ticket = models.ForeignKey(Ticket, models.PROTECT, related_name="attachments", verbose_name=_("ticket"))
    name = models.CharField(_("name"), max_length=120)
    content_type = models.CharField(_("type"), max_length=40)
    size_bytes = models.PositiveIntegerField(_("size (bytes)"))
    file = models.FileField(_("file"), upload_to=attachment_path)
    added_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("added by")
    )
    added_at = models.DateTimeField(_("added at"))

    class Meta:
        verbose_name = _("attachment")
        verbose_name_plural = _("attachments")
        indexes = [models.Index(fields=["ticket", "id"], name="feedback_attachment_ticket")]

    def __str__(self) -> str:
        return self.name


class Recovery(models.Model):
    """What a guest was given for what went wrong; undone by its own means, never deleted."""

    class Kind(models.TextChoices):
        """What was given."""

        POINTS = "points", _("points")
        VOUCHER = "voucher", _("voucher")
        REFUND = "refund", _("refund request")
        CALL = "call", _("call")

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    ticket = models.ForeignKey(Ticket, models.PROTECT, related_name="recoveries", verbose_name=_("ticket"))
    kind = models.CharField(_("kind"), max_length=8, choices=Kind)
    points = models.PositiveIntegerField(_("points"), null=True, blank=True)
    # Of the ledger; postings are never deleted, and their key is composite.
    posting_id = models.BigIntegerField(_("posting"), null=True, blank=True)
    voucher = models.ForeignKey(
        Voucher, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("voucher")
    )
    amount = models.DecimalField(_("amount"), max_digits=12, decimal_places=2, null=True, blank=True)
    currency = models.CharField(_("currency"), max_length=3, blank=True, validators=[currency_validator])
    text = models.CharField(_("reason"), max_length=300)
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("by")
    )
    made_at = models.DateTimeField(_("at"))
    undone_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("undone by")
    )
    undone_at = models.DateTimeField(_("undone at"), null=True, blank=True)

    class Meta:
        verbose_name = _("service recovery")
        verbose_name_plural = _("service recoveries")
        constraints = [
            models.CheckConstraint(
                condition=Q(kind="points", points__gt=0, posting_id__isnull=False, voucher=None, amount=None)
                | Q(kind="voucher", voucher__isnull=False, points=None, posting_id=None, amount=None)
                | (Q(kind="refund", amount__gt=0, points=None, posting_id=None, voucher=None) & ~Q(currency=""))
                | Q(kind="call", points=None, posting_id=None, voucher=None, amount=None),
                name="feedback_recovery_has_its_value",
            ),
        ]
        indexes = [models.Index(fields=["ticket", "id"], name="feedback_recovery_ticket")]

    def __str__(self) -> str:
        return f"{self.ticket_id}: {self.kind}"
