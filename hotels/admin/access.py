"""Users, and the roles they hold where."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, cast

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from hotels.admin.base import AuditedAdmin, ScopedInline
from hotels.models import Property, StaffAssignment, User


class StaffAssignmentInline(ScopedInline):
    """The roles of the user, each for one property, one brand or the group."""

    model = StaffAssignment
    fields = ["role", "group", "brand", "property"]


@admin.register(User)
class UserAdmin(AuditedAdmin, DjangoUserAdmin):  # type: ignore[type-arg]
    """Accounts of staff, guests and integrations; rights come from the roles alone."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ["username", "display_name", "roles", "email", "is_active", "second_factor_required", "last_login"]
    list_filter = [("assignments__role", ChoicesDropdownFilter), "is_active", "second_factor_required"]
    list_filter_submit = True
    ordering = ["username", "pk"]
    search_fields = ["username", "display_name", "email"]
    filter_horizontal = ()
    readonly_fields = ["last_login", "date_joined", "is_superuser"]
    fieldsets = [
        (None, {"fields": ["username", "password"]}),
        (_("Person"), {"fields": ["display_name", "email", "language", "shortcuts_enabled"]}),
        (_("Access"), {"fields": ["is_active", "second_factor_required", "is_superuser", "last_login", "date_joined"]}),
    ]
    add_fieldsets = [
        (None, {"classes": ["wide"], "fields": ["username", "display_name", "email", "password1", "password2"]}),
    ]
    inlines = [StaffAssignmentInline]

    @admin.display(description=_("roles"))
    def roles(self, user: User) -> str:
        """The user's roles, in the reader's language."""
        return " · ".join(a.get_role_display() for a in user.assignments.all())

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        """The group's users, for others those with a role at their properties; roles in one further query."""
        users = cast("QuerySet[User]", super().get_queryset(request).prefetch_related("assignments"))
        reader = cast("User", request.user)
        if reader.is_superuser or any(a.group_id for a in reader.active_assignments()):
            return users
        there = StaffAssignment.objects.filter(
            Q(property__in=Property.objects.visible_to(reader))
            | Q(brand__in=[a.brand_id for a in reader.active_assignments() if a.brand_id])
        )
        return users.filter(pk__in=there.values("user"))

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Not a superuser's account, unless by a superuser: a password is as good as the rights behind it."""
        above = isinstance(obj, User) and obj.is_superuser and not cast("User", request.user).is_superuser
        return super().has_change_permission(request, obj) and not above

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never: history names its users; an account is closed by `is_active`."""
        return False

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> Any:  # noqa: A002
        """Set a password for somebody; who did it is kept, the password is not."""
        with transaction.atomic():
            response = super().user_change_password(request, id, form_url)
            user = self.get_object(request, id)
            if request.method == "POST" and response.status_code == HTTPStatus.FOUND and user is not None:
                self.audit(request, user, "password_set")
        return response
