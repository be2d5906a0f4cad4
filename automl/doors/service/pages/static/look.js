// A data set: what the server finds in it and what a run will take, looked up anew as target and budget change.
"use strict";

const ask = document.getElementById("ask");
if (ask) {
  const live = () => ["quote", "findings", "columns"].map((id) => document.getElementById(id));
  const other = document.getElementById("budget-other");
  let [timer, asking, shown] = [0, null, ""];

  const place = () => {
    const typed = new FormData(ask);
    const wanted = new URLSearchParams({ look: "1" });
    if (typed.get("target")) wanted.set("target", typed.get("target"));
    wanted.set("budget", typed.get("budget") || typed.get("budget_other") || "5m");
    for (const [name, value] of typed) if (name.startsWith("o-") && value) wanted.set(name, value);
    return `${window.location.pathname.split("/").slice(0, 3).join("/")}?${wanted}`;
  };

  const look = async () => {
    const address = place();
    if (address === shown) return;
    asking?.abort();
    const mine = (asking = new AbortController());
    for (const part of live()) part.setAttribute("aria-busy", "true");
    try {
      await automl.renew(address, mine.signal);
      shown = address;
      automl.say(document.querySelector("#quote strong, #quote .alert")?.textContent || "");
    } catch (error) {
      if (mine.signal.aborted) return;
      const said = document.createElement("p");
      said.className = "alert";
      said.textContent = error.message;
      document.querySelector("#quote h2").after(said);
    }
    for (const part of live()) part.removeAttribute("aria-busy");
  };
  const soon = (wait) => {
    clearTimeout(timer);
    timer = setTimeout(look, wait);
  };

  ask.addEventListener("change", (event) => ["key", "name"].includes(event.target.name) || soon(50));
  other.addEventListener("input", () => {
    document.getElementById("other").checked = true;
    soon(700);
  });
  if (document.querySelector("#start[data-wanted]")) look();
  else shown = place();
}
