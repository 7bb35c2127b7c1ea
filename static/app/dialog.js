/* Forms open in one dialog; links with data-dialog are pages of their own without JavaScript. */
(function () {
  "use strict";
  const dialog = document.getElementById("dialog");
  const body = document.getElementById("dialog-body");
  if (!dialog) return;

  function focusFirst() {
    const invalid = body.querySelector("[aria-invalid=true]");
    // Of a wrong choice the chosen one, or the first.
    const wrong = invalid && (invalid.querySelector("input:checked") || invalid.querySelector("input") || invalid);
    const first = wrong || body.querySelector("[autofocus]") || body.querySelector("input:not([type=hidden]), select, textarea");
    if (first) {
      first.focus();
      if (first.select && first.type !== "radio" && first.type !== "checkbox") first.select();
    }
  }

  document.body.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target.id !== "dialog-body" || !body.firstElementChild) return;
    if (!dialog.open) dialog.showModal();
    focusFirst();
  });
  // Settling moves the focus to what asks for it; a wrong field comes before that.
  document.body.addEventListener("htmx:afterSettle", (event) => {
    if (event.detail.target.id === "dialog-body" && body.querySelector("[aria-invalid=true]")) focusFirst();
  });
  document.body.addEventListener("guike:done", () => {
    if (dialog.open) dialog.close();
  });
  dialog.addEventListener("close", () => {
    body.replaceChildren();
    const heading = document.querySelector("#guest h1");
    if (heading && document.activeElement === document.body) heading.focus({ preventScroll: true });
  });
  dialog.addEventListener("click", (event) => {
    if (event.target.closest("[data-close]")) {
      event.preventDefault();
      dialog.close();
    }
  });
  /* Ctrl+Enter sends a form from any field, also from a text area. */
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && event.target.form && event.target.closest("main form, dialog form")) {
      event.preventDefault();
      event.target.form.requestSubmit();
    }
  });
})();
