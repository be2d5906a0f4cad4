// A model asked with a file: many rows that come back as a table, and files as cells of one row.
"use strict";

const many = document.getElementById("many");
if (many) {
  const KINDS = { csv: "text/csv", tsv: "text/csv", parquet: "application/vnd.apache.parquet", zip: "application/zip" };
  const [rows, button, said] = ["rows", "predict-many", "many-said"].map((id) => document.getElementById(id));
  many.hidden = false;

  const tell = (text, isBad) => {
    said.textContent = text;
    said.className = isBad ? "alert" : "";
  };

  button.addEventListener("click", async () => {
    const file = rows.files[0];
    if (!file) return tell("Choose a file first.", true);
    const kind = KINDS[file.name.split(".").pop().toLowerCase()];
    if (!kind) return tell(`${file.name} is of a kind that is not read here. Give .csv or .parquet.`, true);
    button.disabled = true;
    tell(`${file.name} is being predicted…`);
    try {
      const answer = await fetch(`/v1/models/${encodeURIComponent(many.dataset.model)}/predict?proba=true`, {
        method: "POST",
        headers: { "Content-Type": kind, Accept: "text/csv" },
        body: file,
      });
      if (!answer.ok) throw new Error(await automl.told(answer));
      const link = document.createElement("a");
      link.href = URL.createObjectURL(await answer.blob());
      link.download = `${file.name.replace(/\.[^.]*$/, "")}-predictions.csv`;
      link.textContent = `Download ${link.download}`;
      link.className = "button";
      tell("");
      said.append(link);
      link.focus();
    } catch (error) {
      tell(error.message, true);
    }
    button.disabled = false;
  });
}

// Files of a row go along as text, since a plain form sends nothing but their names.
for (const field of document.querySelectorAll("[data-b64]")) {
  field.addEventListener("change", () => {
    const reader = new FileReader();
    reader.addEventListener("load", () => {
      let hidden = document.querySelector(`input[name="${field.dataset.b64}"]`);
      if (!hidden) {
        hidden = document.createElement("input");
        hidden.type = "hidden";
        hidden.name = field.dataset.b64;
        field.after(hidden);
      }
      hidden.value = reader.result.slice(reader.result.indexOf(",") + 1);
    });
    if (field.files.length) reader.readAsDataURL(field.files[0]);
  });
}
