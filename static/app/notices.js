/* Toasts with a clock that waits for the reader, and what to say when a request fails. */
(function () {
  "use strict";
  const TIME_MS = 10000;
  const region = document.getElementById("toasts");

  function start(toast) {
    if (toast.dataset.started || toast.hasAttribute("data-sticky")) return;
    toast.dataset.started = "1";
    let left = TIME_MS;
    let since = 0;
    let timer = 0;
    const run = () => { clearTimeout(timer); since = Date.now(); timer = setTimeout(() => toast.remove(), left); };
    const wait = () => { clearTimeout(timer); left = Math.max(2000, left - (Date.now() - since)); };
    toast.addEventListener("mouseenter", wait);
    toast.addEventListener("mouseleave", run);
    toast.addEventListener("focusin", wait);
    toast.addEventListener("focusout", run);
    run();
  }
  const startAll = () => region.querySelectorAll("[data-toast]").forEach(start);
  new MutationObserver(() => {
    // The newest three are enough to read.
    const all = region.querySelectorAll("[data-toast]");
    [...all].slice(0, Math.max(0, all.length - 3)).forEach((toast) => toast.remove());
    startAll();
  }).observe(region, { childList: true });
  startAll();

  region.addEventListener("click", (event) => {
    if (event.target.closest("[data-dismiss]")) event.target.closest("[data-toast]").remove();
  });
  region.addEventListener("submit", (event) => {
    event.target.closest("[data-toast]").setAttribute("data-undoing", "");
  });
  document.body.addEventListener("htmx:afterRequest", (event) => {
    const toast = event.target.closest && event.target.closest("[data-undoing]");
    if (!toast) return;
    if (event.detail.successful) toast.remove();
    else toast.removeAttribute("data-undoing");
  });

  /* The server's own words, where it sent some, instead of the general ones. */
  function say(note, xhr) {
    if (!xhr || !xhr.responseText) return;
    const kind = xhr.getResponseHeader("Content-Type") || "";
    const title = note.querySelector("b");
    if (kind.startsWith("text/plain")) title.textContent = xhr.responseText.slice(0, 300);
    else {
      const words = new DOMParser().parseFromString(xhr.responseText, "text/html").querySelectorAll(".error-note p");
      if (words.length < 2) return;
      title.textContent = words[0].textContent;
      title.nextSibling.textContent = ` ${words[1].textContent} `;
    }
  }

  function fail(name, detail) {
    const template = document.getElementById(`error-${name}`) || document.getElementById("error-500");
    const note = template.content.firstElementChild.cloneNode(true);
    const code = detail.xhr && detail.xhr.getResponseHeader && detail.xhr.getResponseHeader("X-Request-ID");
    if (code) {
      note.querySelector("[data-code]").hidden = false;
      note.querySelector("code").textContent = code.slice(0, 8);
    }
    say(note, detail.xhr);
    note.querySelector("[data-retry]").addEventListener("click", () => {
      note.remove();
      const source = detail.elt;
      if (!source.isConnected) window.location.reload();
      else if (source.id === "q") htmx.trigger(source, "desk:search");
      else if (source.tagName === "FORM") source.requestSubmit();
      else source.click();
    });
    const dialog = document.querySelector("dialog[open] .sheet-body");
    // A modal dialog lies above everything, so its failures are told inside it.
    if (dialog) {
      dialog.querySelectorAll("[data-toast]").forEach((old) => old.remove());
      dialog.prepend(note);
      note.querySelector("[data-dismiss]").addEventListener("click", () => note.remove());
    } else region.append(note);
  }
  document.body.addEventListener("htmx:responseError", (event) => {
    const status = event.detail.xhr.status;
    if (status === 401) return; // The login page follows by HX-Redirect.
    fail(status >= 500 ? "500" : String(status), event.detail);
  });
  document.body.addEventListener("htmx:sendError", (event) => fail("offline", event.detail));
  document.body.addEventListener("htmx:timeout", (event) => fail("offline", event.detail));

  /* Mark at once what a request will change; take the mark back when it fails. */
  document.body.addEventListener("htmx:beforeRequest", (event) => {
    const row = event.target.closest("[data-optimistic]");
    if (row) row.classList.add("optimistic");
  });
  for (const name of ["htmx:responseError", "htmx:sendError"]) {
    document.body.addEventListener(name, (event) => {
      const row = event.target.closest("[data-optimistic]");
      if (row) row.classList.remove("optimistic");
    });
  }
})();
