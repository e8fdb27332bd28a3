"use strict";
(() => {
  const root = document.documentElement;
  root.classList.remove("no-js");

  // Colour scheme: the system's until the reader chooses.
  const scheme = document.getElementById("scheme");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.scheme || (dark.matches ? "dark" : "light")) === "dark";
  const say = () => { scheme.textContent = isDark() ? "Light colours" : "Dark colours"; };
  try {
    const kept = localStorage.getItem("bench-scheme");
    if (kept === "light" || kept === "dark") root.dataset.scheme = kept;
  } catch (_) { /* storage may be switched off */ }
  scheme.addEventListener("click", () => {
    root.dataset.scheme = isDark() ? "light" : "dark";
    try { localStorage.setItem("bench-scheme", root.dataset.scheme); } catch (_) { /* as above */ }
    say();
  });
  dark.addEventListener("change", say);
  say();

  // Everything folded is opened for print, and folded again.
  addEventListener("beforeprint", () => {
    for (const fold of document.querySelectorAll("details:not([open])")) { fold.open = true; fold.dataset.printed = ""; }
  });
  addEventListener("afterprint", () => {
    for (const fold of document.querySelectorAll("details[data-printed]")) { fold.open = false; delete fold.dataset.printed; }
  });

  const words = new Intl.Collator("en", { numeric: true, sensitivity: "base" });
  const announcer = document.getElementById("announcer");

  for (const figure of document.querySelectorAll("figure.table")) {
    const table = figure.querySelector("table");
    const bodies = [...table.tBodies];
    const rows = bodies.flatMap((body) => [...body.querySelectorAll("tr[data-row]")]);
    const order = new Map(rows.map((row, at) => [row, at]));
    const heads = [...table.querySelectorAll("thead th[data-column]")];

    const key = (row, column, number) => {
      const cell = row.children[column];
      if (!number) return cell.dataset.text ?? cell.textContent;
      return cell.dataset.value === undefined ? null : Number(cell.dataset.value);
    };
    const sort = (head) => {
      const column = Number(head.dataset.column);
      const number = head.dataset.kind === "number";
      // First the interesting end (numbers: where the better ones are), then the other, then as it was.
      const first = head.dataset.first || "ascending";
      const other = first === "ascending" ? "descending" : "ascending";
      const next = { [first]: other, [other]: null }[head.getAttribute("aria-sort")];
      const direction = next === undefined ? first : next;
      for (const each of heads) each.removeAttribute("aria-sort");
      if (direction) head.setAttribute("aria-sort", direction);
      const sign = direction === "descending" ? -1 : 1;
      for (const body of bodies) {
        const own = [...body.querySelectorAll("tr[data-row]")];
        own.sort((a, b) => {
          const was = order.get(a) - order.get(b);
          if (!direction) return was;
          const [x, y] = [key(a, column, number), key(b, column, number)];
          if (x === null || y === null) return (x === null) - (y === null) || was;
          return sign * (number ? x - y : words.compare(x, y)) || was;
        });
        body.append(...own);
      }
      announcer.textContent = direction ? `Sorted by ${head.textContent}, ${direction}` : "In the order of the report";
    };
    for (const head of heads) head.querySelector("button").addEventListener("click", () => sort(head));

    const search = figure.querySelector("input[type=search]");
    const choices = [...figure.querySelectorAll("select[data-column]")];
    const count = figure.querySelector(".count");
    const filter = () => {
      const wanted = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const row of rows) {
        const text = ((row.dataset.group || "") + " " + row.textContent).toLowerCase();
        const chosen = choices.every((choice) => {
          if (!choice.value) return true;
          const found = choice.dataset.column === "group" ? row.dataset.group : key(row, Number(choice.dataset.column), false);
          return found === choice.value.slice(1);
        });
        row.hidden = !(chosen && wanted.every((word) => text.includes(word)));
        shown += row.hidden ? 0 : 1;
      }
      for (const body of bodies) body.hidden = ![...body.querySelectorAll("tr[data-row]")].some((row) => !row.hidden);
      count.textContent = shown === rows.length ? "" : `${shown} of ${rows.length} rows`;
    };
    if (search) {
      search.addEventListener("input", filter);
      search.addEventListener("keydown", (event) => { if (event.key === "Escape") { search.value = ""; filter(); } });
      choices.forEach((choice) => choice.addEventListener("change", filter));
    }

    for (const button of figure.querySelectorAll("button[data-copy]")) {
      button.addEventListener("click", async () => {
        const text = document.getElementById(button.dataset.copy).textContent;
        const name = button.textContent;
        let done = true;
        try { await navigator.clipboard.writeText(text); } catch (_) { done = fallback(text); }
        announcer.textContent = done ? `${name}: copied` : `${name}: the browser refused`;
        button.textContent = done ? "Copied" : "Refused";
        setTimeout(() => { button.textContent = name; }, 1500);
      });
    }
  }

  // Where a page has no clipboard of its own, such as some browsers' pages from files.
  function fallback(text) {
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "hidden";
    document.body.append(area);
    area.select();
    let done = false;
    try { done = document.execCommand("copy"); } catch (_) { /* refused */ }
    area.remove();
    return done;
  }
})();
