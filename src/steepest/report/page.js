// Charts read the tables beneath them. Colors are those of the style sheet, so that light and dark are said once.
(() => {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : dark.matches);
  const views = [];
  let look;
  const chosen = document.getElementById("only");

  function theme() {
    const style = getComputedStyle(root);
    const color = name => style.getPropertyValue("--" + name).trim();
    const [ink, quiet, line, card] = ["ink", "quiet", "line", "card"].map(color);
    const font = style.fontFamily;
    const shades = isDark() ? ["#1d2733", "#6fadf0"] : ["#eef4fb", "#2a6fbb"];
    return {
      background: card, font, aria: false, padding: 4, autosize: { type: "fit-x", contains: "padding" }, view: { stroke: null },
      axis: { labelColor: quiet, titleColor: quiet, titleFontWeight: "normal", gridColor: line, domainColor: line, tickColor: line, labelFontSize: 11, titleFontSize: 12 },
      axisX: { grid: false },
      legend: { labelColor: ink, titleColor: quiet, titleFontWeight: "normal", labelFontSize: 12, symbolStrokeWidth: 3, symbolOpacity: 1 },
      range: { category: Array.from({ length: 10 }, (_, i) => color("c" + i)), heatmap: shades, ramp: shades },
      mark: { color: color("c0") }, line: { strokeWidth: 2 }, rule: { color: quiet }, text: { color: ink },
      style: {
        event: { color: color("warn"), stroke: color("warn"), strokeDash: [5, 4], strokeWidth: 1.5 }, hover: { stroke: quiet }, stair: { stroke: ink, strokeWidth: 1.5 }, middle: { color: ink, fill: ink },
        count: { fill: ink, fontSize: 11 },
        better: { color: color("c2"), fill: color("c2"), fillOpacity: 0.45 }, worse: { color: color("c1"), fill: color("c1"), fillOpacity: 0.45 },
        open: { color: line, fill: line, fillOpacity: 0.5 },
      },
    };
  }

  // A cell as a chart takes it: what is no finite number is a gap.
  const value = (text, number) => (!number ? text : text !== "" && Number.isFinite(Number(text)) ? Number(text) : null);

  function rows(table) {
    const heads = [...table.tHead.rows[0].cells].map(cell => ({ ...cell.dataset, number: "number" in cell.dataset }));
    const found = [];
    for (const row of table.tBodies[0].rows) {
      const named = {};
      const along = [];
      heads.forEach((head, i) => {
        const cell = value(row.cells[i].textContent, head.number);
        if ("at" in head) along.push({ step: Number(head.at), value: cell });
        else named[head.name] = cell;
      });
      if (along.length) along.filter(point => point.value !== null).forEach(point => found.push({ ...named, ...point }));
      else found.push(named);
    }
    return found;
  }

  async function draw(chart) {
    const figure = chart.parentElement;
    const spec = JSON.parse(figure.querySelector("script").textContent);
    spec.datasets = { rows: rows(figure.querySelector("table")) };
    const made = await vegaEmbed(chart, spec, {
      config: look, renderer: "svg", ast: true, actions: { export: true, source: false, compiled: false, editor: false },
      downloadFileName: figure.querySelector("h3").textContent.replace(/[^\w-]+/g, "-"), tooltip: { theme: isDark() ? "dark" : "light" },
    });
    chart.classList.toggle("dark", isDark());
    if (chosen && chosen.value) await show(made.view);
    return made;
  }

  async function show(view) {
    try { view.signal("only", chosen.value); } catch { return; }  // a chart without methods
    await view.runAsync();
  }

  // The chart that is nearest to what is seen comes first; those out of view are drawn while there is nothing else to do.
  const waiting = new Set();
  let turn = 0;

  function nearest() {
    let found = null;
    for (const chart of waiting) {
      const box = chart.getBoundingClientRect();
      const away = Math.max(box.top - innerHeight, -box.bottom, 0);
      if (!found || away < found.away) found = { chart, away };
      if (!away) break;
    }
    return found;
  }

  async function drawNow(chart, mine) {
    waiting.delete(chart);
    try {
      const made = await draw(chart);
      if (mine === turn) views.push(made);
      else made.finalize();
    } catch (wrong) { chart.textContent = "This chart cannot be drawn: " + wrong.message; console.error(wrong); }
  }

  const whenIdle = done => (window.requestIdleCallback ? requestIdleCallback(done, { timeout: 200 }) : setTimeout(done));

  async function drawAll() {
    const mine = ++turn;
    look = theme();
    views.splice(0).forEach(made => made.finalize());
    document.querySelectorAll(".chart").forEach(chart => waiting.add(chart));
    for (let next; (next = nearest()); ) {
      await new Promise(next.away ? whenIdle : setTimeout);
      if (mine !== turn) return;
      if (waiting.has(next.chart)) await drawNow(next.chart, mine);
    }
    root.dataset.drawn = views.length;
  }

  function filterRuns() {
    const words = (document.getElementById("find")?.value ?? "").toLowerCase();
    for (const table of document.querySelectorAll("table.runs")) {
      const at = [...table.tHead.rows[0].cells].findIndex(cell => cell.dataset.name === "method");
      for (const row of table.tBodies[0].rows) {
        const other = at >= 0 && chosen && chosen.value && row.cells[at].textContent !== chosen.value;
        row.hidden = other || !row.textContent.toLowerCase().includes(words);
      }
    }
  }

  function sortBy(head) {
    const table = head.closest("table");
    const down = head.getAttribute("aria-sort") === "ascending";
    const number = "number" in head.dataset;
    const key = row => value(row.cells[head.cellIndex].textContent, number);
    const order = (a, b) => (a === null) - (b === null) || (number ? a - b : a.localeCompare(b, undefined, { numeric: true })) * (down ? -1 : 1);
    const sorted = [...table.tBodies[0].rows].sort((a, b) => order(key(a), key(b)));
    table.tBodies[0].append(...sorted);
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
  }

  for (const head of document.querySelectorAll("table[data-sortable] th")) {
    head.tabIndex = 0;
    head.addEventListener("click", () => sortBy(head));
    head.addEventListener("keydown", event => { if (event.key === "Enter") sortBy(head); });
  }
  document.getElementById("theme").addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; drawAll(); });
  dark.addEventListener("change", drawAll);
  // Drawing waits for nothing but itself: all are there before the paper is laid out.
  addEventListener("beforeprint", () => waiting.forEach(chart => drawNow(chart, turn)));
  document.getElementById("find")?.addEventListener("input", filterRuns);
  chosen?.addEventListener("change", () => { filterRuns(); views.forEach(made => show(made.view)); });
  // page.html#only=adamw opens with one method.
  const asked = new URLSearchParams(location.hash.slice(1)).get("only");
  if (chosen && asked !== null && [...chosen.options].some(option => option.value === asked)) { chosen.value = asked; filterRuns(); }
  drawAll();
})();
