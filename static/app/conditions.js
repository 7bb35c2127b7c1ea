/* With JavaScript the builder takes the place of the text; only one of the two is sent. */
(() => {
  function open(root) {
    for (const field of root.querySelectorAll("[data-conditions]")) {
      const builder = field.querySelector(".conditions-builder");
      const text = field.querySelector(".conditions-text");
      if (!builder.disabled) continue;
      builder.disabled = false;
      builder.hidden = false;
      text.disabled = true;
      text.hidden = true;
    }
  }

  document.addEventListener("DOMContentLoaded", () => open(document));
  document.addEventListener("htmx:afterSettle", () => open(document));
  if (document.readyState !== "loading") open(document);
})();
