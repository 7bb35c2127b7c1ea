/* The search box: no request while an input method composes, the newest answer wins, fully by keyboard. */
(function () {
  "use strict";
  const box = document.getElementById("q");
  if (!box) return;
  const DELAY_MS = 160;
  const popover = document.querySelector(".searchpop");
  const status = document.getElementById("search-status");
  const results = () => document.getElementById("queue");
  const rows = () => [...results().querySelectorAll("a.hit")];
  const cursor = () => results().querySelector("a.hit.cursor");
  let timer = 0;
  let composing = false;
  let last = box.value;
  let openWhenAnswered = false;
  let waiting = false;

  function search() {
    clearTimeout(timer);
    if (composing || box.value === last) return;
    last = box.value;
    waiting = true;
    htmx.trigger(box, "desk:search");
  }

  function move(step) {
    const all = rows();
    if (!all.length) return;
    const from = all.findIndex((row) => row.classList.contains("cursor"));
    const start = from >= 0 ? from : all.findIndex((row) => row.getAttribute("aria-current") === "true");
    all.forEach((row) => row.classList.remove("cursor"));
    const next = all[start < 0 ? (step > 0 ? 0 : all.length - 1) : (start + step + all.length) % all.length];
    next.classList.add("cursor");
    next.scrollIntoView({ block: "nearest" });
    status.textContent = next.textContent.replace(/\s+/g, " ").trim();
  }

  function openCursor() {
    const row = cursor();
    if (!row) return false;
    row.click();
    return true;
  }

  box.addEventListener("compositionstart", () => { composing = true; });
  box.addEventListener("compositionend", () => { composing = false; search(); });
  box.addEventListener("input", () => {
    openWhenAnswered = false;
    clearTimeout(timer);
    timer = setTimeout(search, DELAY_MS);
  });
  box.addEventListener("keydown", (event) => {
    if (event.isComposing || event.keyCode === 229) return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      move(event.key === "ArrowDown" ? 1 : -1);
    } else if (event.key === "Enter") {
      event.preventDefault();
      search();
      // A fast typist presses Enter before the answer is there: open the first hit when it comes.
      if (waiting) openWhenAnswered = true;
      else if (!openCursor() && box.value) htmx.trigger(box, "desk:search");
    } else if (event.key === "Escape") {
      event.preventDefault();
      openWhenAnswered = false;
      if (box.value) {
        box.value = "";
        search();
      } else {
        box.blur();
        if (popover) popover.hidden = true;
      }
    }
  });

  document.addEventListener("keydown", (event) => {
    if (event.isComposing || document.querySelector("dialog[open]")) return;
    const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName);
    const slash = event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey;
    const combination = event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey);
    if (combination || (slash && document.body.hasAttribute("data-shortcuts"))) {
      event.preventDefault();
      box.focus();
      box.select();
    }
  });

  /* Rule 6: while the results do not contain the open guest, the card is dimmed and switched off. */
  function markCard() {
    const card = document.querySelector("#guest > .guest");
    let found = false;
    for (const row of rows()) {
      const same = Boolean(card) && row.dataset.guest === card.dataset.guest;
      row.setAttribute("aria-current", String(same));
      found = found || same;
    }
    if (!card) return;
    const stale = Boolean(last.trim()) && !found;
    card.classList.toggle("stale", stale);
    for (const part of card.children) if (!part.matches(".stale-note")) part.inert = stale;
  }

  const openGuest = () => document.querySelector("#guest > .guest")?.dataset.guest;
  let lastGuest = openGuest();

  /* A guest opened past the list, such as one just enrolled, ends the search that does not know them. */
  function endForeignSearch() {
    const guest = openGuest();
    const isListed = rows().some((row) => row.dataset.guest === guest);
    if (guest && guest !== lastGuest && !isListed && box.value && document.activeElement !== box) {
      box.value = "";
      search();
    }
    lastGuest = guest;
  }

  document.body.addEventListener("htmx:afterSwap", (event) => {
    const target = event.detail.target;
    if (target.id === "queue") {
      waiting = false;
      const asked = Boolean(box.value.trim());
      if (popover) popover.hidden = !asked;
      // On a tablet the hits are in the drawer beside an open card.
      document.body.classList.toggle("queue-open", asked);
      const count = rows().length;
      status.textContent = results().querySelector("[data-announce]")?.dataset.announce || String(count);
      markCard();
    } else if (target.id === "guest") {
      document.body.classList.remove("queue-open");
      endForeignSearch();
      markCard();
      const heading = target.querySelector("h1");
      if (heading && !document.querySelector("dialog[open]")) heading.focus({ preventScroll: true });
      window.scrollTo({ top: 0 });
    }
  });
  // Only now do the new rows know that they open inside the page.
  document.body.addEventListener("htmx:afterSettle", (event) => {
    if (event.detail.target.id !== "queue" || !openWhenAnswered) return;
    openWhenAnswered = false;
    openCursor();
  });
  for (const name of ["htmx:responseError", "htmx:sendError"]) {
    document.body.addEventListener(name, (event) => { if (event.detail.elt === box) { waiting = false; last = ""; } });
  }
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-toggle-queue]")) document.body.classList.toggle("queue-open");
    if (popover && !event.target.closest(".searchbox")) popover.hidden = true;
  });
  markCard();
})();
