// The page kept alive: fetched again, compared cell by cell, and drawn into small plots; and its actions asked back.
//
// What the reader does (ticked boxes, opened rows, the filter, focus) lives in the document and is never touched: only
// cells whose content differs are written. The history behind the plots is the browser's own, in sessionStorage.

const KEEP = 60; // values per plot
const QUIET_SHARE = 20; // a page that takes long to make is asked for less often: at most 1/20 of the time
const body = document.body;
const wait = Number(body.dataset.refresh) * 1000;
const here = location.href.replace(/;st=\w*/, "");
const live = document.getElementById("live");

// ------------------------------------------------------------------------------------------------------------- updating

function replaceIfChanged(old, fresh) {
  if (!old || !fresh) return;
  if (old.className !== fresh.className) old.className = fresh.className;
  if (old.getAttribute("style") !== fresh.getAttribute("style")) old.setAttribute("style", fresh.getAttribute("style") ?? "");
  if (old.innerHTML !== fresh.innerHTML) old.innerHTML = fresh.innerHTML;
}

function updateRow(old, fresh) {
  if (old.className !== fresh.className) old.className = fresh.className;
  Object.assign(old.dataset, fresh.dataset);
  const cells = [...fresh.cells];
  [...old.cells].forEach((cell, index) => {
    if (cell.matches(".tick, .trend")) return;
    if (cell.matches(".name")) replaceIfChanged(cell.querySelector("dl"), cells[index].querySelector("dl"));
    else replaceIfChanged(cell, cells[index]);
  });
}

const rowsOf = (where) => [...where.querySelectorAll("tr[data-row]")];
const names = (where) => rowsOf(where).map((row) => row.dataset.row).join("\n");

function updateSection(old, fresh) {
  if (names(old) === names(fresh)) {
    const rows = rowsOf(fresh);
    rowsOf(old).forEach((row, index) => updateRow(row, rows[index]));
    return;
  }
  const ticked = new Set([...old.querySelectorAll('input[name="s"]:checked')].map((box) => box.value));
  old.querySelector("tbody").replaceWith(fresh.querySelector("tbody"));
  for (const box of old.querySelectorAll('input[name="s"]')) box.checked = ticked.has(box.value);
}

function update(page) {
  for (const part of ["header", "dl.process"]) replaceIfChanged(document.querySelector(part), page.querySelector(part));
  const before = [...document.querySelectorAll("section.proxy")];
  const after = [...page.querySelectorAll("section.proxy")];
  if (before.map((s) => s.id).join() !== after.map((s) => s.id).join()) return location.reload();
  before.forEach((section, index) => updateSection(section, after[index]));
  remember();
  filter();
}

// ---------------------------------------------------------------------------------------------------------------- plots

let history = {};
try {
  history = JSON.parse(sessionStorage.getItem(here)) ?? {};
} catch {
  // Nothing kept, or no storage: the plots begin now.
}

function remember() {
  for (const row of rowsOf(document)) {
    const past = (history[row.dataset.row] ??= { rate: [], p95: [] });
    for (const name of ["rate", "p95"]) {
      past[name].push(row.dataset[name] === undefined ? null : Number(row.dataset[name]));
      if (past[name].length > KEEP) past[name].shift();
    }
    draw(row, past);
  }
  try {
    sessionStorage.setItem(here, JSON.stringify(history));
  } catch {
    // Full or forbidden: the history ends with the page.
  }
}

function spark(values, name, unit) {
  const known = values.filter((value) => value !== null);
  if (known.length < 2) return "";
  const top = Math.max(...known, 1e-9);
  const runs = [[]]; // a look without a value breaks the line
  values.forEach((value, index) => {
    if (value === null) return runs.push([]);
    runs.at(-1).push([KEEP - values.length + index, (19 - (value / top) * 18).toFixed(1)]);
  });
  const drawn = runs
    .filter((run) => run.length)
    .map((run) => {
      if (run.length === 1) run.push([run[0][0] + 0.8, run[0][1]]); // a point has no length to be seen
      const line = run.map((point) => point.join()).join(" ");
      return `<polygon points="${run[0][0]},20 ${line} ${run.at(-1)[0]},20"/><polyline points="${line}"/>`;
    });
  const now = values.at(-1) === null ? "none" : values.at(-1) + unit;
  const says = `${name}: now ${now}, at most ${Math.max(...known)}${unit} in the last ${values.length} looks`;
  return (
    `<svg class="spark ${name.split(" ")[0]}" viewBox="0 0 ${KEEP - 1} 20" preserveAspectRatio="none" role="img" ` +
    `aria-label="${says}"><title>${says}</title>${drawn.join("")}</svg>`
  );
}

function draw(row, past) {
  const cell = row.querySelector(".trend");
  if (cell) cell.innerHTML = spark(past.rate, "rate", "/s") + spark(past.p95, "p95 response", " ms");
}

// --------------------------------------------------------------------------------------------------------------- filter

const field = document.getElementById("filter");

function filter() {
  const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const section of document.querySelectorAll("section.proxy")) {
    const title = section.querySelector("h2").textContent.toLowerCase();
    let shown = 0;
    for (const row of rowsOf(section)) {
      const text = title + " " + row.querySelector(".name summary").textContent + " " + row.querySelector(".status").textContent;
      row.hidden = !words.every((word) => text.toLowerCase().includes(word));
      shown += !row.hidden;
    }
    section.hidden = !shown;
  }
}
field.closest("label").hidden = false;
field.addEventListener("input", filter);
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.target.matches("input, select, textarea")) return;
  event.preventDefault();
  field.focus();
});

// Escape: the filter is emptied, or the details that are open are closed and their name has the focus again.
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || dialogIsOpen()) return;
  if (event.target === field) {
    field.value = "";
    filter();
    return;
  }
  const open = event.target.closest?.("details[open]") ?? document.querySelector("details[open]");
  if (!open) return;
  open.open = false;
  open.querySelector("summary").focus();
});
const dialogIsOpen = () => document.querySelector("dialog[open]") !== null;

// -------------------------------------------------------------------------------------------------------------- actions

document.addEventListener("change", (event) => {
  if (!event.target.classList.contains("all")) return;
  const boxes = event.target.form.querySelectorAll('tr:not([hidden]) input[name="s"]');
  for (const box of boxes) box.checked = event.target.checked;
});

const dialog = document.getElementById("confirm");
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post" || form.dataset.sure) return;
  event.preventDefault();
  const chosen = [...form.querySelectorAll('input[name="s"]:checked')].map((box) => box.value);
  const action = form.querySelector("select");
  if (!chosen.length || !action.value) {
    ask(chosen.length ? "Choose an action first." : "Tick the servers first.", null);
    return;
  }
  const section = form.closest("section").querySelector("h2 a").textContent;
  ask(`${action.selectedOptions[0].text}: ${chosen.join(", ")} of ${section}?`, () => {
    form.dataset.sure = "1";
    form.submit();
  });
});

function ask(question, then) {
  dialog.querySelector("p").textContent = question;
  dialog.querySelector('[value="yes"]').hidden = !then;
  dialog.returnValue = "";
  dialog.onclose = () => dialog.returnValue === "yes" && then?.();
  dialog.showModal();
}

// ----------------------------------------------------------------------------------------------------------- the rhythm

// The time is not for those who listen: a status that changes with every look would never be silent.
function say(text, tone, time = "") {
  if (live.dataset.said !== text) live.replaceChildren((live.dataset.said = text));
  live.querySelector("span")?.remove();
  live.insertAdjacentHTML("beforeend", '<span aria-hidden="true"></span>');
  live.querySelector("span").textContent = time && `, ${time}`;
  live.className = tone;
}

async function look() {
  const began = performance.now();
  let pause = wait;
  if (!document.hidden) {
    try {
      const answer = await fetch(here, { cache: "no-store", redirect: "error" });
      if (!answer.ok) throw new Error(`the page answers ${answer.status}`);
      update(new DOMParser().parseFromString(await answer.text(), "text/html"));
      say("live", "good", new Date().toLocaleTimeString());
    } catch (error) {
      say(`not updated since ${live.dataset.last ?? "the start"}: ${error.message}`, "bad");
      pause = Math.min(30000, wait * 5);
    }
    if (live.className === "good") live.dataset.last = new Date().toLocaleTimeString();
    pause = Math.max(pause, (performance.now() - began) * QUIET_SHARE);
  }
  setTimeout(look, pause);
}

remember();
filter();
if (wait) {
  say("live", "good");
  setTimeout(look, wait);
}
