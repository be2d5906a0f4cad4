// A run while it works: what it says comes as events; what changes on the page is drawn by the server.
"use strict";

const watched = document.getElementById("watched");
const OVER = ["done", "stopped", "failed"];

if (watched && !OVER.includes(watched.dataset.state)) {
  const page = `/runs/${encodeURIComponent(watched.dataset.run)}`;
  let seen = Number(watched.dataset.after);
  let events = null;
  let [timer, last] = [0, 0];

  const put = (id, text) => {
    const place = document.getElementById(id);
    if (place && place.textContent !== text) place.textContent = text;
  };
  const seconds = (value) => {
    const whole = Math.round(value);
    if (whole < 60) return `${whole} s`;
    if (whole < 3600) return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, "0")} s`;
    return `${Math.floor(whole / 3600)} h ${String(Math.floor((whole % 3600) / 60)).padStart(2, "0")} min`;
  };

  // Look again soon, but not more often than every second and a half.
  const again = () => {
    if (timer) return;
    timer = setTimeout(async () => {
      timer = 0;
      last = Date.now();
      try {
        await automl.renew(page);
      } catch (error) {
        automl.say(error.message);
      }
    }, Math.max(100, last + 1500 - Date.now()));
  };

  const progress = (now) => {
    if (now.best) put("p-best", now.best);
    if (typeof now.elapsed_s === "number") put("p-elapsed", seconds(now.elapsed_s));
    if (typeof now.done === "number") put("p-done", String(now.done));
    if (typeof now.running === "number") put("p-running", `${now.running} running, ${now.failed || 0} failed`);
    if (now.stage) put("p-stage", now.stage);
    if (now.where) put("p-where", now.where);
    const bar = document.getElementById("budget");
    if (typeof now.left_s === "number" && now.elapsed_s + now.left_s > 0) {
      const share = now.elapsed_s / (now.elapsed_s + now.left_s);
      put("p-left", `${seconds(now.left_s)} left`);
      if (bar) bar.value = share;
      put("budget-said", `${Math.round(share * 100)} % of the budget`);
    }
  };

  const note = (line) => {
    const item = document.createElement("li");
    item.textContent = line;
    document.getElementById("notes").append(item);
    document.getElementById("no-notes").hidden = true;
  };

  const open = () => {
    events = new EventSource(`/v1${page}/events?after=${seen}`);
    const on = (name, act) => events.addEventListener(name, (event) => {
      if (event.lastEventId) seen = Math.max(seen, Number(event.lastEventId));
      act(JSON.parse(event.data));
    });
    on("note", (body) => note(body.line));
    on("trial", again);
    on("stage", (body) => {
      automl.say(`Stage: ${body.stage}`);
      again();
    });
    on("state", (body) => {
      if (body.error) note(body.error);
      again();
    });
    on("progress", progress);
    on("end", async (body) => {
      events.close();
      clearTimeout(timer);
      await automl.renew(page);
      watched.dataset.state = body.state;
      automl.say(document.querySelector("#outcome .lead, #now .alert, #now .lead")?.textContent || "The run is over.");
    });
  };

  // A browser keeps few connections to a server: a page that nobody sees gives its own back.
  document.addEventListener("visibilitychange", () => {
    if (OVER.includes(watched.dataset.state)) return;
    if (document.hidden) {
      events?.close();
    } else if (events?.readyState === EventSource.CLOSED) {
      again();
      open();
    }
  });
  open();
}
