// Single keys for the buttons and links that have a data-action. They can be changed and switched off (WCAG 2.1.4); what is
// chosen stays in this browser. Everything works without this file.
"use strict";
(() => {
  const NAME = "kg-keys";
  const read = () => { try { return JSON.parse(localStorage.getItem(NAME)) || {}; } catch { return {}; } };
  const inputs = [...document.querySelectorAll("[data-key-for]")];
  const isOn = document.getElementById("keys-on");
  const saved = read();
  for (const input of inputs) {
    if (typeof saved[input.dataset.keyFor] === "string") input.value = saved[input.dataset.keyFor];
  }
  if (isOn && saved.on === false) isOn.checked = false;
  const spoken = (key) => (key === " " ? "space" : key.toLowerCase());
  const save = () => {
    const chosen = { on: !isOn || isOn.checked };
    for (const input of inputs) chosen[input.dataset.keyFor] = input.value.trim().toLowerCase();
    localStorage.setItem(NAME, JSON.stringify(chosen));
  };
  for (const input of [...inputs, isOn]) input?.addEventListener("change", save);
  document.getElementById("key-settings")?.addEventListener("submit", (event) => event.preventDefault());

  let done = false; // of this page: a key that is held down decides once
  const act = (action) => {
    if (action === "search") return document.getElementById("search").focus();
    if (action === "help") {
      const help = document.getElementById("keys");
      help.open = !help.open;
      return help.scrollIntoView({ block: "nearest" });
    }
    const target = document.querySelector(`[data-action="${action}"]`);
    if (!target || done) return;
    done = true;
    target.click();
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || (isOn && !isOn.checked)) return;
    if (event.target.closest("input, select, textarea")) return;
    const key = spoken(event.key);
    if (key === "space" && event.target.closest("button, a, summary")) return; // which it presses
    const input = inputs.find((each) => each.value.trim().toLowerCase() === key);
    if (!input) return;
    event.preventDefault();
    act(input.dataset.keyFor);
  });
  window.addEventListener("pageshow", () => { done = false; });
})();
