/* Single-key shortcuts: every element with data-key is pressed by its key, unless somebody is typing. */
(function () {
  "use strict";
  document.documentElement.classList.add("js");

  const typing = (el) => el.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(el.tagName);
  const usable = (el) => !el.closest("[inert], [hidden], template") && !el.disabled;
  const help = document.getElementById("keys");

  function openHelp() {
    const list = help.querySelector("[data-key-list]");
    list.replaceChildren();
    const seen = new Set();
    for (const el of document.querySelectorAll("[data-key]")) {
      if (!usable(el) || seen.has(el.dataset.key)) continue;
      seen.add(el.dataset.key);
      const row = document.createElement("div");
      const key = document.createElement("dt");
      const name = document.createElement("dd");
      key.append(Object.assign(document.createElement("kbd"), { textContent: el.dataset.key }));
      const label = el.querySelector("span");
      name.textContent = el.dataset.keyLabel || (label || el).textContent.trim();
      row.append(key, name);
      list.append(row);
    }
    help.showModal();
  }

  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-open-keys]")) openHelp();
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      if (!menu.contains(event.target)) menu.open = false;
    }
  });

  document.addEventListener("keydown", (event) => {
    if (event.isComposing || event.defaultPrevented) return;
    if (event.key === "Escape") {
      for (const menu of document.querySelectorAll("details.menu[open]")) {
        menu.open = false;
        menu.querySelector("summary").focus();
      }
    }
    if (typing(event.target) || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    if (document.querySelector("dialog[open]") || !document.body.hasAttribute("data-shortcuts")) return;
    if (event.key === "?") {
      event.preventDefault();
      openHelp();
      return;
    }
    const key = event.key.toUpperCase();
    const target = [...document.querySelectorAll("[data-key]")].filter(usable).find((el) => el.dataset.key === key);
    if (target) {
      event.preventDefault();
      target.focus();
      target.click();
    }
  });
})();
