/* Small behaviours bound by data attributes, so that no page needs inline script or style. */
(function () {
  "use strict";
  const all = (selector, root) => [...root.querySelectorAll(selector)];

  function paint(root) {
    for (const bar of all("[data-width]", root)) bar.style.width = `${bar.dataset.width}%`;
    for (const secret of all("[data-hide-after]", root)) hide(secret);
  }

  /* An unmasked number goes away by itself. */
  function hide(secret) {
    if (secret.dataset.running) return;
    secret.dataset.running = "1";
    let left = Number(secret.dataset.hideAfter);
    const clock = secret.querySelector(".left");
    const tick = () => {
      if (left <= 0 || !secret.isConnected) {
        secret.classList.remove("shown");
        secret.textContent = secret.dataset.masked;
        return;
      }
      if (clock) clock.textContent = `${left} s`;
      left -= 1;
      setTimeout(tick, 1000);
    };
    tick();
  }

  document.addEventListener("change", (event) => {
    const form = event.target.closest("form[data-autosubmit]");
    if (form) form.requestSubmit();
    const sum = event.target.closest("[data-sum]");
    if (sum) total(sum);
  });
  document.addEventListener("input", (event) => {
    const sum = event.target.closest("[data-sum]");
    if (sum) total(sum);
  });
  function total(box) {
    const out = box.querySelector("[data-sum-total]");
    if (!out) return;
    const cents = all("input[inputmode=decimal]", box).reduce((sum, field) => sum + Math.round((Number(field.value.replace(/,/g, "")) || 0) * 100), 0);
    out.textContent = (cents / 100).toLocaleString("en-US", { minimumFractionDigits: 2 });
  }

  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-print]")) window.print();
    const clear = event.target.closest("[data-clear-search]");
    const box = document.getElementById("q");
    if (clear && box) {
      event.preventDefault();
      box.value = "";
      box.dispatchEvent(new Event("input", { bubbles: true }));
      box.focus();
    }
  });

  /* Check a field when it is left, by the browser's own rules; the server checks everything again. */
  document.addEventListener("focusout", (event) => {
    const field = event.target;
    if (!field.closest || !field.closest(".field") || !field.willValidate) return;
    const wrong = field.value !== "" && !field.validity.valid;
    if (wrong && !field.hasAttribute("aria-invalid")) {
      field.setAttribute("aria-invalid", "true");
      const note = document.createElement("p");
      note.className = "problem";
      note.dataset.browser = "1";
      note.id = `${field.id}-browser`;
      note.textContent = field.dataset.hint || field.validationMessage;
      field.setAttribute("aria-describedby", note.id);
      field.closest(".field").append(note);
    } else if (!wrong && field.closest(".field").querySelector("[data-browser]")) {
      field.closest(".field").querySelector("[data-browser]").remove();
      field.removeAttribute("aria-invalid");
      field.removeAttribute("aria-describedby");
    }
  });

  paint(document);
  if (window.htmx) document.body.addEventListener("htmx:afterSettle", (event) => paint(event.target));
})();
