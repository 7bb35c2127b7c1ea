"""Users, roles, and the properties a role holds for."""

from __future__ import annotations

import builtins
import uuid
from typing import ClassVar

from django.contrib.auth.models import AbstractUser, UserManager
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from hotels.models.organisation import Brand, HotelGroup, Property
from hotels.rules import ADMIN_ROLES


class User(AbstractUser):
    """Anybody who signs in: staff, a guest with an account, or an integration client.

    Staff rights come from `StaffAssignment`; a guest's user has none.
    """

    class Language(models.TextChoices):
        """Languages of the staff pages."""

        CHINESE = "zh-hans", _("Simplified Chinese")
        ENGLISH = "en", _("English")

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    display_name = models.CharField(_("display name"), max_length=80, blank=True)
    language = models.CharField(_("language"), max_length=10, choices=Language, blank=True)
    shortcuts_enabled = models.BooleanField(_("keyboard shortcuts"), default=True)
    second_factor_required = models.BooleanField(
        _("second factor required"),
        default=False,
        help_text=_("The user must set up an authenticator app or a security key before anything else."),
    )

    objects: ClassVar[UserManager[User]] = UserManager()  # type: ignore[assignment]

    class Meta(AbstractUser.Meta):  # type: ignore[name-defined,misc]
        verbose_name = _("user")
        verbose_name_plural = _("users")
        constraints = [
            models.CheckConstraint(condition=Q(language__in=["", "zh-hans", "en"]), name="hotels_user_language_known"),
        ]

    def __str__(self) -> str:
        return self.display_name or self.username

    def active_assignments(self) -> list[StaffAssignment]:
        """The user's assignments, read once for each loaded instance."""
        cached: list[StaffAssignment] | None = self.__dict__.get("_assignments")
        if cached is None:
            cached = list(self.assignments.all()) if self.pk and self.is_active else []
            self.__dict__["_assignments"] = cached
        return cached

    @property
    def is_hotel_staff(self) -> bool:
        """Whether this user works for the group: an assignment that is not an integration's."""
        return self.is_superuser or any(a.role != Role.INTEGRATION for a in self.active_assignments())

    @property
    def may_administer(self) -> bool:
        """Whether this user has a role that works in the admin."""
        return self.is_superuser or any(a.role in ADMIN_ROLES for a in self.active_assignments())


class Role(models.TextChoices):
    """What a member of staff does; the rights of each stand in `hotels.rules`."""

    RECEPTIONIST = "receptionist", _("receptionist")
    GUEST_SERVICE = "guest_service", _("guest-service agent")
    MARKETER = "marketer", _("marketer")
    PROPERTY_MANAGER = "property_manager", _("property manager")
    GROUP_MANAGER = "group_manager", _("group manager")
    AUDITOR = "auditor", _("auditor")
    INTEGRATION = "integration", _("integration client")


class StaffAssignment(models.Model):
    """A role that a user holds for one property, one brand or the whole group."""

    user = models.ForeignKey(User, models.CASCADE, related_name="assignments", verbose_name=_("user"))
    role = models.CharField(_("role"), max_length=20, choices=Role)
    group = models.ForeignKey(HotelGroup, models.CASCADE, null=True, blank=True, verbose_name=_("hotel group"))
    brand = models.ForeignKey(Brand, models.CASCADE, null=True, blank=True, verbose_name=_("brand"))
    property = models.ForeignKey(Property, models.CASCADE, null=True, blank=True, verbose_name=_("property"))

    class Meta:
        verbose_name = _("staff assignment")
        verbose_name_plural = _("staff assignments")
        constraints = [
            models.CheckConstraint(
                condition=(
                    Q(group__isnull=False, brand__isnull=True, property__isnull=True)
                    | Q(group__isnull=True, brand__isnull=False, property__isnull=True)
                    | Q(group__isnull=True, brand__isnull=True, property__isnull=False)
                ),
                name="hotels_staffassignment_one_scope",
                violation_error_message=_("Choose exactly one of group, brand or property."),
            ),
            models.CheckConstraint(condition=Q(role__in=Role.values), name="hotels_staffassignment_role_known"),
            models.UniqueConstraint(
                fields=["user", "role", "group", "brand", "property"],
                nulls_distinct=False,
                name="hotels_staffassignment_unique",
                violation_error_message=_("This user holds this role there already."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user_id}: {self.get_role_display()}"

    @builtins.property
    def scope(self) -> HotelGroup | Brand | Property | None:
        """Where the role holds; None while a form is half filled."""
        return self.group or self.brand or self.property

    def covers(self, place: Property) -> bool:
        """Whether this assignment reaches the property (its brand must be loaded for a group scope)."""
        if self.property_id:
            return self.property_id == place.pk
        if self.brand_id:
            return self.brand_id == place.brand_id
        return self.group_id == place.brand.group_id
