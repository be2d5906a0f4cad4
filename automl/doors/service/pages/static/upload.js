// Bringing a file: dropped or chosen, sent as it is, with its progress and a way to stop it.
"use strict";

const drop = document.getElementById("drop");
if (drop) {
  const [sending, bar, sent, refused] = ["sending", "bar", "sent", "refused"].map((id) => document.getElementById(id));
  const file = document.getElementById("file");
  let going = null;
  drop.hidden = false;

  const refuse = (text) => {
    sending.hidden = true;
    refused.textContent = text;
    refused.hidden = false;
    refused.focus();
  };
  const size = (bytes) => (bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`);

  const send = (one) => {
    const most = Number(drop.dataset.mostMb) * 1e6;
    refused.hidden = true;
    if (going) return refuse("A file is on its way already. Wait for it, or cancel it.");
    if (one.size > most) return refuse(`${one.name} has ${size(one.size)}; this server takes up to ${size(most)}.`);
    if (!one.size) return refuse(`${one.name} is empty. Choose another file.`);
    going = new XMLHttpRequest();
    going.open("POST", `/v1/datasets?name=${encodeURIComponent(one.name)}`);
    going.responseType = "json";
    going.upload.addEventListener("progress", (now) => {
      bar.value = now.lengthComputable ? now.loaded / now.total : 0;
      sent.textContent = now.loaded < now.total
        ? `Sending ${one.name}: ${size(now.loaded)} of ${size(now.total)}`
        : `${one.name} is sent; the server reads it`;
    });
    going.addEventListener("load", () => {
      const { status, response } = going;
      going = null;
      if (status === 201) window.location.assign(`/datasets/${encodeURIComponent(response.id)}`);
      else refuse(response?.detail || `The server answered ${status}.`);
    });
    going.addEventListener("error", () => {
      going = null;
      refuse("The connection broke off before all of it was there. Nothing was kept; try again.");
    });
    going.addEventListener("abort", () => {
      going = null;
      refuse(`${one.name} was not sent to its end. Nothing was kept.`);
    });
    sending.hidden = false;
    bar.value = 0;
    sent.textContent = `Sending ${one.name}`;
    automl.say(`Sending ${one.name}`);
    going.send(one);
  };

  document.getElementById("cancel").addEventListener("click", () => going?.abort());
  file.addEventListener("change", () => file.files.length && send(file.files[0]));
  for (const name of ["dragenter", "dragover"]) {
    document.addEventListener(name, (event) => {
      event.preventDefault();
      drop.classList.add("over");
    });
  }
  document.addEventListener("dragleave", (event) => event.relatedTarget || drop.classList.remove("over"));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    const items = [...event.dataTransfer.items].filter((item) => item.kind === "file");
    if (!items.length) return;
    if (items.some((item) => item.webkitGetAsEntry?.()?.isDirectory)) {
      return refuse("A folder cannot be sent as it is. Pack it into one .zip and drop that.");
    }
    if (items.length > 1) return refuse("One file at a time. Pack several into one .zip.");
    send(items[0].getAsFile());
  });
}
