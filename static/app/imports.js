/* Say at once that a file is too large, instead of sending it first. */
(function () {
  "use strict";
  const form = document.querySelector("form[data-max-bytes]");
  const warning = document.getElementById("too-large");
  if (!form || !warning) return;
  const input = form.querySelector("input[type=file]");
  const check = () => {
    const file = input.files[0];
    const tooLarge = Boolean(file) && file.size > Number(form.dataset.maxBytes);
    warning.hidden = !tooLarge;
    input.setAttribute("aria-invalid", String(tooLarge));
    return !tooLarge;
  };
  input.addEventListener("change", check);
  form.addEventListener("submit", (event) => {
    if (!check()) event.preventDefault();
  });
})();
