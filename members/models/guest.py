"""The guest, what the hotel knows about them, and what they agreed to."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from django.conf import settings
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import F, Func, Q
from django.db.models.functions import Left
from django.utils.translation import gettext_lazy as _

from hotels.models import BilingualName

if TYPE_CHECKING:
    from hotels.models import User


class NameGrams(Func):
    """Every pair of neighboring characters of a name, in lower case (a function of migration 0003)."""

    function = "members_name_grams"
    arity = 1


class GuestQuerySet(models.QuerySet["Guest"]):
    """Reads of guests."""

    def visible_to(self, user: User) -> GuestQuerySet:
        """Staff see every guest of the group, a guest sees only their own profile.

        A guest of one property is a guest of the group: reception has to find a member who
        has only stayed elsewhere. What staff may do with the profile is a matter of permissions.
        """
        if user.is_superuser or user.active_assignments():
            return self
        return self.filter(user=user)

    def current(self) -> GuestQuerySet:
        """Profiles that went into no other one."""
        return self.filter(merged_into=None)


class Guest(models.Model):
    """A person who stays, or might; a member is a guest with a `loyalty.Membership`."""

    class Gender(models.TextChoices):
        """As on the registration card."""

        UNKNOWN = "", _("not stated")
        FEMALE = "female", _("female")
        MALE = "male", _("male")

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="guest",
        verbose_name=_("sign-in account"),
    )
    name = models.CharField(_("name"), max_length=120)
    # Kept beside the name by `members.rules.names`, because the database has no pinyin.
    name_pinyin = models.CharField(_("pinyin"), max_length=240, blank=True, editable=False)
    name_initials = models.CharField(_("pinyin initials"), max_length=60, blank=True, editable=False)
    gender = models.CharField(_("gender"), max_length=10, choices=Gender, blank=True)
    birthday = models.DateField(_("birthday"), null=True, blank=True)
    nationality = models.CharField(_("nationality"), max_length=2, blank=True, help_text=_("ISO 3166 two-letter code"))
    language = models.CharField(_("language"), max_length=10, blank=True)
    company = models.CharField(_("company"), max_length=120, blank=True)
    # The newest departure date of a stay; ranks search hits, so it stands in their indexes.
    last_stay_date = models.DateField(_("last stay"), null=True, blank=True, editable=False)
    # The profile that this one went into; it keeps its row, so that the merge can be undone.
    merged_into = models.ForeignKey(
        "self",
        models.PROTECT,
        null=True,
        blank=True,
        editable=False,
        related_name="+",
        db_index=False,
        verbose_name=_("merged into"),
    )
    version = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    objects = GuestQuerySet.as_manager()

    class Meta:
        verbose_name = _("guest")
        verbose_name_plural = _("guests")
        permissions = [
            ("use_desk", _("Can use the desk")),
            ("reveal_pii", _("Can reveal masked personal data")),
            ("import_guests", _("Can import guests")),
            ("export_guests", _("Can export guests")),
            ("merge_guests", _("Can merge guests")),
        ]
        constraints = [
            models.CheckConstraint(
                condition=~Q(name=""),
                name="members_guest_name_given",
                violation_error_message=_("A guest needs a name."),
            ),
            models.CheckConstraint(condition=Q(gender__in=["", "female", "male"]), name="members_guest_gender_known"),
            models.CheckConstraint(
                condition=Q(merged_into=None) | ~Q(merged_into=F("pk")), name="members_guest_not_into_itself"
            ),
        ]
        indexes = [
            # What each serves, and why the rank stands in it: `members.selectors.search`.
            models.Index(
                Left("name", 1), F("last_stay_date").desc(nulls_last=True), F("id").desc(), name="members_guest_surname"
            ),
            models.Index(
                Left("name", 2), F("last_stay_date").desc(nulls_last=True), F("id").desc(), name="members_guest_name2"
            ),
            GinIndex(NameGrams("name"), name="members_guest_grams"),
            models.Index(
                fields=["name_pinyin"],
                opclasses=["text_pattern_ops"],
                include=["last_stay_date", "id"],
                name="members_guest_pinyin",
            ),
            models.Index(
                F("name_initials"),
                F("last_stay_date").desc(nulls_last=True),
                F("id").desc(),
                name="members_guest_initials",
            ),
            models.Index(
                F("last_stay_date").desc(nulls_last=True),
                F("id").desc(),
                include=["name", "name_pinyin"],
                name="members_guest_recent",
            ),
            models.Index(
                fields=["merged_into"], condition=Q(merged_into__isnull=False), name="members_guest_merged_into"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Preference(models.Model):
    """Something the guest likes, needs or must not get; an allergy is an alert."""

    class Category(models.TextChoices):
        """What the preference is about."""

        ROOM = "room", _("room")
        BEDDING = "bedding", _("bedding")
        FOOD = "food", _("food and drink")
        ALLERGY = "allergy", _("allergy")
        MEDICAL = "medical", _("medical")
        SERVICE = "service", _("service")
        OTHER = "other", _("other")

    class Severity(models.TextChoices):
        """How it is shown: an alert is red and comes first on every screen."""

        WISH = "wish", _("wish")
        NOTICE = "notice", _("please note")
        ALERT = "alert", _("alert")

    guest = models.ForeignKey(Guest, models.CASCADE, related_name="preferences", verbose_name=_("guest"))
    category = models.CharField(_("category"), max_length=20, choices=Category)
    severity = models.CharField(_("severity"), max_length=10, choices=Severity, default=Severity.WISH)
    text = models.CharField(_("text"), max_length=200)
    source = models.CharField(_("source"), max_length=40, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("noted by")
    )
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    class Meta:
        verbose_name = _("preference")
        verbose_name_plural = _("preferences")
        constraints = [
            models.CheckConstraint(
                condition=~Q(category__in=["allergy", "medical"]) | Q(severity="alert"),
                name="members_preference_allergy_is_alert",
                violation_error_message=_("An allergy or medical note is always an alert."),
            ),
            models.CheckConstraint(
                condition=Q(severity__in=["wish", "notice", "alert"]), name="members_preference_severity_known"
            ),
            models.UniqueConstraint(
                fields=["guest", "category", "text"],
                name="members_preference_unique",
                violation_error_message=_("This preference is noted already."),
            ),
        ]

    def __str__(self) -> str:
        return self.text


class Tag(BilingualName):
    """A label that staff put on guests."""

    code = models.SlugField(_("code"), max_length=40, unique=True)

    class Meta:
        verbose_name = _("tag")
        verbose_name_plural = _("tags")


class GuestTag(models.Model):
    """A tag on a guest, with who put it there."""

    guest = models.ForeignKey(Guest, models.CASCADE, related_name="guest_tags", verbose_name=_("guest"))
    tag = models.ForeignKey(Tag, models.PROTECT, related_name="guest_tags", verbose_name=_("tag"))
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("tagged by")
    )
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    class Meta:
        verbose_name = _("guest's tag")
        verbose_name_plural = _("guests' tags")
        constraints = [
            models.UniqueConstraint(
                fields=["guest", "tag"],
                name="members_guesttag_unique",
                violation_error_message=_("The guest has this tag already."),
            )
        ]

    def __str__(self) -> str:
        return f"{self.guest_id}: {self.tag_id}"


class Consent(models.Model):
    """One answer of a guest to one purpose on one channel; the newest answer counts."""

    class Purpose(models.TextChoices):
        """What the data is used for."""

        PROGRAMME = "programme", _("loyalty programme")
        MARKETING = "marketing", _("marketing")

    class Channel(models.TextChoices):
        """How the guest may be reached; `any` for a purpose without messages."""

        ANY = "any", _("any")
        SMS = "sms", _("SMS")
        EMAIL = "email", _("e-mail")
        WECHAT = "wechat", _("WeChat")

    guest = models.ForeignKey(Guest, models.CASCADE, related_name="consents", verbose_name=_("guest"))
    purpose = models.CharField(_("purpose"), max_length=20, choices=Purpose)
    channel = models.CharField(_("channel"), max_length=10, choices=Channel, default=Channel.ANY)
    granted = models.BooleanField(_("granted"))
    text_version = models.CharField(_("version of the text"), max_length=40)
    source = models.CharField(_("source"), max_length=40)
    recorded_at = models.DateTimeField(_("recorded at"))
    recorded_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("recorded by"),
    )

    class Meta:
        verbose_name = _("consent")
        verbose_name_plural = _("consents")
        constraints = [
            models.CheckConstraint(
                condition=Q(purpose__in=["programme", "marketing"]), name="members_consent_purpose_known"
            ),
            models.CheckConstraint(
                condition=Q(channel__in=["any", "sms", "email", "wechat"]), name="members_consent_channel_known"
            ),
        ]
        indexes = [models.Index(fields=["guest", "purpose", "channel", "-recorded_at"], name="members_consent_newest")]

    def __str__(self) -> str:
        return f"{self.purpose}/{self.channel}: {self.granted}"
