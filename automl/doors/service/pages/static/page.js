// What all pages share: parts that are drawn anew by the server and put in place, buttons that copy, forms sent once.
"use strict";

const automl = {
  sources: new Map(),

  say(text) {
    document.getElementById("said").textContent = text;
  },

  // The problem of an answer in words; the server's own where it has some.
  async told(answer) {
    try {
      return (await answer.json()).detail || `The server answered ${answer.status}.`;
    } catch {
      return `The server answered ${answer.status}.`;
    }
  },

  // Fetch a page of this server and put its live parts in place of those here; parts that are as they were stay.
  async renew(address, signal) {
    const answer = await fetch(address, { headers: { Accept: "text/html" }, signal });
    if (new URL(answer.url).pathname === "/signin") return window.location.assign(answer.url);
    if (!(answer.headers.get("content-type") || "").startsWith("text/html")) throw new Error(await automl.told(answer));
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of fresh.querySelectorAll("[data-live]")) automl.put(part);
    return fresh;
  },

  put(part) {
    const here = document.getElementById(part.id);
    const source = part.outerHTML;
    if (!here || automl.sources.get(part.id) === source) return;
    automl.sources.set(part.id, source);
    const focused = here.contains(document.activeElement) ? document.activeElement.id : "";
    const fresh = document.importNode(part, true);
    for (const field of here.querySelectorAll("input[id]")) {
      const same = fresh.querySelector(`#${CSS.escape(field.id)}`);
      if (same && field.checked) same.checked = true;
      if (same && field.value !== field.defaultValue) same.value = field.value;
    }
    here.replaceWith(fresh);
    if (focused) document.getElementById(focused)?.focus();
  },

  copying(root) {
    for (const button of root.querySelectorAll("[data-copy]")) {
      button.hidden = !navigator.clipboard;
      button.addEventListener("click", async () => {
        await navigator.clipboard.writeText(button.parentElement.querySelector("code").textContent);
        button.textContent = "Copied";
        automl.say("Copied");
      });
    }
  },
};

for (const part of document.querySelectorAll("[data-live]")) automl.sources.set(part.id, part.outerHTML);
automl.copying(document);
for (const one of document.querySelectorAll("[data-plain]")) one.hidden = true; // for who has no scripts
document.addEventListener("submit", (event) => {
  if (event.target.dataset.sent) return event.preventDefault();
  if (event.target.method === "post") event.target.dataset.sent = "yes";
});
window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("[data-sent]")) delete form.dataset.sent;
});

// A list with something at work in it looks again, as long as somebody sees it.
setInterval(() => {
  if (document.hidden || !document.querySelector("[data-again]")) return;
  automl.renew(window.location.href).catch(() => {});
}, 3000);
