"use strict";
// Sorting and filtering of what the page already shows; without this script it shows it all.
document.documentElement.classList.add("js");

document.addEventListener("DOMContentLoaded", () => {
  const facts = JSON.parse(document.getElementById("facts").textContent);
  const kinds = ["device", "runtime", "precision"];
  const filters = document.getElementById("filters");
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  // Whatever is of results says which: it stays while one of them is wanted.
  // It is read when it is first needed: a page of thousands of rows opens without.
  let owned = null;
  const owners = () =>
    (owned ??= all("[data-r]").map((element) => [element, element.dataset.r.split(" ").map(Number)]));
  const states = new Map();
  const stateOf = (table) =>
    states.get(table) ?? states.set(table, { table, rows: all("tbody tr", table), whole: false }).get(table);
  const shown = (element) => !element.classList.contains("out");

  function wanted() {
    const chosen = kinds.map((kind) => filters.querySelector(`[data-filter=${kind}]`).value);
    const part = filters.querySelector("[data-filter=model]").value.trim().toLowerCase();
    const models = facts.words.model.map((name) => name.toLowerCase().includes(part));
    return facts.results.map(
      (places) => chosen.every((place, kind) => place === "" || Number(place) === places[kind]) && models[places[3]]
    );
  }

  function limit({ table, rows, whole }) {
    const most = Number(table.dataset.most);
    let count = 0;
    for (const row of rows) {
      const hide = !whole && shown(row) && ++count > most;
      row.classList.toggle("more", hide);
    }
    const more = table.closest(".scroll").nextElementSibling;
    if (more && more.matches(".all")) more.hidden = whole || count <= most;
  }

  // Rows move up into the places of those that are filtered out, and the scale shrinks with them.
  function close(svg, most) {
    const rows = all(".row", svg);
    const [top, pitch, bottom] = svg.dataset.rows.split(" ").map(Number);
    let place = 0;
    rows.forEach((row, index) => {
      const beyond = shown(row) && place >= most;
      row.classList.toggle("beyond", beyond);
      if (!shown(row) || beyond) return;
      row.setAttribute("transform", `translate(0 ${(place - index) * pitch})`);
      place += 1;
    });
    const width = svg.viewBox.baseVal.width;
    svg.setAttribute("viewBox", `0 0 ${width} ${top + place * pitch + bottom}`);
    const end = top + place * pitch;
    all("path.grid", svg).forEach((line) => {
      const x = line.getAttribute("d").split(" ")[1];
      line.setAttribute("d", `M ${x} ${top} L ${x} ${end}`);
    });
  }

  // The Pareto front of the points that are left: to the left is faster, up is more accurate.
  function front(svg) {
    const points = all("circle.pt", svg).map((dot) => ({ dot, x: Number(dot.getAttribute("cx")), y: Number(dot.getAttribute("cy")) }));
    let best = Infinity;
    let path = "";
    const left = points.filter(({ dot }) => shown(dot)).sort((a, b) => a.x - b.x || a.y - b.y);
    const on = new Set();
    for (const { dot, x, y } of left) {
      if (y >= best) continue;
      path += path ? `H ${x} V ${y}` : `M ${x} ${y}`;
      best = y;
      on.add(dot);
    }
    svg.querySelector("path.front").setAttribute("d", path || "M 0 0");
    // Each point has a label, drawn after all points.
    all("text.note", svg).forEach((note, index) => note.classList.toggle("on", on.has(points[index].dot)));
  }

  // Of labels that would lie on each other, the first stays.
  function spread(svg) {
    const kept = [];
    for (const note of all("text.note.on", svg)) {
      note.classList.remove("hit");
      if (!shown(note)) continue;
      const box = note.getBBox();
      if (box.width === 0) continue;
      const hits = (other) =>
        box.x < other.x + other.width && other.x < box.x + box.width &&
        box.y < other.y + other.height && other.y < box.y + box.height;
      if (kept.some(hits)) note.classList.add("hit");
      else kept.push(box);
    }
  }

  function draw() {
    for (const figure of all("figure")) {
      for (const svg of all("svg", figure)) {
        if (svg.dataset.rows) close(svg, Number(figure.dataset.shown));
        if (svg.querySelector("path.front")) front(svg);
        spread(svg);
      }
    }
  }

  function apply() {
    const keep = wanted();
    for (const [element, numbers] of owners()) element.classList.toggle("out", !numbers.some((number) => keep[number]));
    const device = filters.querySelector("[data-filter=device]").value;
    for (const card of all(".card")) card.classList.toggle("out", device !== "" && card.dataset.device !== device);
    all("table").map(stateOf).forEach(limit);
    draw();
    for (const part of all("figure, .scroll, .group")) {
      const inside = all("[data-r]", part);
      part.classList.toggle("out", inside.length > 0 && !inside.some(shown));
    }
    for (const section of all("main > section")) {
      const groups = all(".group", section);
      section.classList.toggle("empty", groups.length > 0 && !groups.some(shown));
    }
    const count = keep.filter(Boolean).length;
    const total = keep.length.toLocaleString("en");
    filters.querySelector("output").textContent =
      count === keep.length ? `${total} results` : `${count.toLocaleString("en")} of ${total} results`;
  }

  // A figure sorts as a figure, a word as a word, and what is missing comes last.
  function compare(a, b, down) {
    if (a === "" || b === "") return (a === "") - (b === "");
    const [x, y] = [parseFloat(a.replace(/,/g, "")), parseFloat(b.replace(/,/g, ""))];
    const order = Number.isNaN(x) || Number.isNaN(y) ? a.localeCompare(b, "en") : x - y;
    return down ? -order : order;
  }

  function sort(state, head) {
    const heads = all("th", state.table);
    const place = heads.indexOf(head);
    const down = head.getAttribute("aria-sort") === "ascending";
    heads.forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const keyed = state.rows.map((row) => [row.cells[place].textContent, row]);
    keyed.sort(([a], [b]) => compare(a, b, down));
    state.rows = keyed.map(([, row]) => row);
    state.table.tBodies[0].append(...state.rows);
    limit(state);
  }

  function save(button) {
    const text = button.closest(".data").querySelector("pre").textContent;
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
    link.download = button.dataset.save;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  document.addEventListener("click", ({ target }) => {
    const button = target.closest("button");
    if (!button) return target.closest("td.id")?.classList.toggle("whole");
    if (button.dataset.save) return save(button);
    const head = button.closest("th");
    if (head) return sort(stateOf(head.closest("table")), head);
    const state = stateOf(button.closest(".all").previousElementSibling.querySelector("table"));
    state.whole = true;
    limit(state);
  });
  filters.addEventListener("input", apply);
  filters.addEventListener("submit", (event) => event.preventDefault());
  // Labels are measured in the size that is shown: the wide or the narrow one.
  addEventListener("resize", draw);
  document.addEventListener("toggle", draw, true);
  draw();
});
