/* Says every few seconds that this record is open here, and shows who else has it open. It never blocks. */
(function () {
  "use strict";
  const place = document.querySelector("[data-presence]");
  if (!place) return;
  const EVERY_MS = 15000;
  const headers = JSON.parse(document.body.getAttribute("hx-headers") || "{}");

  function tell() {
    if (document.hidden) return;
    // Not through htmx: a lost session or connection must not interrupt whoever is writing here.
    fetch(place.dataset.presence, { method: "POST", headers, redirect: "error" })
      .then((answer) => (answer.ok ? answer.text() : null))
      .then((html) => {
        if (html === null) return;
        const fresh = new DOMParser().parseFromString(html, "text/html").body;
        // Only a change is announced.
        if (fresh.textContent.trim() !== place.textContent.trim()) place.replaceChildren(...fresh.childNodes);
      })
      .catch(() => {});
  }

  tell();
  setInterval(tell, EVERY_MS);
  document.addEventListener("visibilitychange", tell);
  window.addEventListener("pagehide", () => {
    fetch(place.dataset.presence, { method: "POST", headers, body: new URLSearchParams({ leave: "1" }), keepalive: true }).catch(() => {});
  });
})();
