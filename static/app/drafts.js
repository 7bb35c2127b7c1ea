/* Forms with data-draft are kept on the server every five seconds, so that logout and crash lose nothing.
   Nothing of it enters the browser's own storage: what is typed may be personal data. */
(function () {
  "use strict";
  const EVERY_MS = 5000;
  const headers = JSON.parse(document.body.getAttribute("hx-headers") || "{}");
  const states = new WeakMap();
  const forms = () => [...document.querySelectorAll("form[data-draft]")];

  function stateOf(form) {
    if (!states.has(form)) states.set(form, { dirty: false, sent: false, flight: null });
    return states.get(form);
  }

  function say(form, text) {
    const place = form.querySelector("[data-draft-status]");
    if (place) place.textContent = text;
  }

  function contentOf(form, more) {
    const data = new URLSearchParams(new FormData(form));
    data.set("draft_form", form.dataset.draftForm);
    data.set("draft_object", form.dataset.draftObject);
    for (const [name, value] of Object.entries(more || {})) data.set(name, value);
    return data;
  }

  function save(form, leaving) {
    const state = stateOf(form);
    if (!state.dirty || state.sent) return;
    state.dirty = false;
    state.flight = new AbortController();
    // Not through htmx: a lost session must not take the page away from under whoever is typing.
    fetch(form.dataset.draft, {
      method: "POST", headers, body: contentOf(form), keepalive: Boolean(leaving), redirect: "error", signal: state.flight.signal,
    })
      .then((answer) => (answer.ok ? answer.text() : Promise.reject(new Error(String(answer.status)))))
      .then((text) => say(form, text))
      .catch(() => {
        if (state.sent) return;
        state.dirty = true;
        say(form, form.dataset.draftFailed);
      });
  }

  function changed(event) {
    const form = event.target.form;
    if (form && form.matches("[data-draft]")) stateOf(form).dirty = true;
  }
  document.addEventListener("input", changed);
  document.addEventListener("change", changed);
  setInterval(() => forms().forEach((form) => save(form, false)), EVERY_MS);

  /* A form that was sent keeps no draft; if it comes back with errors, it does again. */
  document.addEventListener("submit", (event) => {
    if (!event.target.matches("form[data-draft]")) return;
    const state = stateOf(event.target);
    state.sent = true;
    if (state.flight) state.flight.abort();
  });
  for (const name of ["htmx:responseError", "htmx:sendError", "htmx:timeout"]) {
    document.body.addEventListener(name, (event) => {
      const form = event.target.closest && event.target.closest("form[data-draft]");
      if (form) Object.assign(stateOf(form), { sent: false, dirty: true });
    });
  }
  function findRefused() {
    for (const form of forms()) if (form.querySelector(".problem, .problems")) stateOf(form).dirty = true;
  }
  document.body.addEventListener("htmx:afterSwap", findRefused);
  findRefused();

  /* Leaving. A dialog keeps its draft quietly; a page with something not yet kept asks. */
  document.addEventListener("close", (event) => {
    event.target.querySelectorAll("form[data-draft]").forEach((form) => save(form, true));
  }, true);
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) forms().forEach((form) => save(form, true));
  });
  window.addEventListener("beforeunload", (event) => {
    const open = forms().filter((form) => stateOf(form).dirty && !stateOf(form).sent);
    if (!open.length) return;
    open.forEach((form) => save(form, true));
    event.preventDefault();
  });

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-draft-discard]");
    const form = button && button.closest("form[data-draft]");
    if (!form) return;
    event.preventDefault();
    const state = stateOf(form);
    if (state.flight) state.flight.abort();
    Object.assign(state, { dirty: false, sent: true });
    fetch(form.dataset.draft, { method: "POST", headers, body: contentOf(form, { discard: "1", quiet: "1" }), redirect: "error" })
      .then((answer) => {
        if (!answer.ok) throw new Error(String(answer.status));
        if (form.closest("dialog")) htmx.ajax("GET", form.getAttribute("action"), { target: "#dialog-body" });
        else window.location.replace(form.dataset.draftPage || window.location.href);
      })
      .catch(() => {
        state.sent = false;
        say(form, form.dataset.draftFailed);
      });
  });
})();
