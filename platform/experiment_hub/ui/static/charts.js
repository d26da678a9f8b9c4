// Curves on canvas: the server thins, the page draws. One chart shows one metric of one or several runs.
"use strict";

(() => {
  const settings = { smoothing: 0, log: false, axis: "step" };
  const charts = [];
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  const figure = (value) => {
    if (value === null || value === undefined) return "–";
    const size = Math.abs(value);
    if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(2).replace("e+", "e");
    return String(Number(value.toPrecision(5)));
  };
  const position = (value) => {
    if (settings.axis !== "time") return figure(value);
    const seconds = Math.round(value);
    if (Math.abs(seconds) < 60) return `${figure(value)} s`;
    const hours = Math.floor(seconds / 3600), minutes = Math.floor((seconds % 3600) / 60);
    return hours ? `${hours} h ${minutes} min` : `${minutes} min ${seconds % 60} s`;
  };

  // Round numbers for an axis.
  const ticks = (low, high, count) => {
    const span = high - low || Math.abs(high) || 1;
    const rough = span / count, power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((each) => each * power).find((each) => each >= rough);
    const found = [];
    for (let tick = Math.ceil(low / step) * step; tick <= high + step * 1e-9 && found.length < 20; tick += step) found.push(tick);
    return found;
  };
  const logTicks = (low, high) => {
    const found = [];
    for (let power = Math.floor(low); power <= Math.ceil(high); power += Math.max(1, Math.round((high - low) / 5))) found.push(power);
    const inside = found.filter((each) => each >= low && each <= high);
    return inside.length >= 2 ? inside : ticks(low, high, 4);
  };

  // Exponential moving average without the bias of its start; a gap does not end it.
  const smooth = (values, weight) => {
    if (!weight) return values;
    let mean = 0, mass = 0;
    return values.map((value) => {
      if (value === null) return null;
      mean = weight * mean + (1 - weight) * value;
      mass = weight * mass + (1 - weight);
      return mean / mass;
    });
  };

  class Chart {
    constructor(root) {
      this.root = root;
      this.canvas = root.querySelector("canvas");
      this.output = root.querySelector("output");
      this.name = root.dataset.metric;
      this.runs = JSON.parse(root.dataset.runs); // [{id, label, colour, began}]
      this.lines = [];
      this.range = null;
      this.cursor = null;
      this.asked = 0;
      this.listen();
    }

    async load() {
      const asked = ++this.asked;
      const points = Math.min(4000, Math.max(200, Math.round(this.canvas.clientWidth * 2)));
      const query = (run) => {
        const parameters = new URLSearchParams({ name: this.name, points, axis: settings.axis });
        if (this.range) {
          const shift = settings.axis === "time" ? run.began : 0;
          parameters.set("first", this.range[0] + shift);
          parameters.set("last", this.range[1] + shift);
        }
        return `/api/v1/runs/${encodeURIComponent(run.id)}/curves?${parameters}`;
      };
      try {
        const found = await Promise.all(this.runs.map((run) => this.fetch(query(run))));
        if (asked !== this.asked) return;
        this.lines = found.map((curve, index) => this.line(curve, this.runs[index]));
        this.draw();
        this.describe();
      } catch (error) {
        this.output.textContent = error.message;
      }
      this.root.dispatchEvent(new CustomEvent("hub:drawn", { bubbles: true }));
    }

    async fetch(address) {
      const answer = await fetch(address, { headers: { Accept: "application/json" } });
      const document = await answer.json();
      if (!answer.ok) throw new Error(document.detail || `the server answered ${answer.status}`);
      return document.curves[0];
    }

    line(curve, run) {
      const shift = settings.axis === "time" ? run.began : 0;
      return { run, x: curve.x.map((x) => x - shift), y: curve.y, odd: curve.odd.map((each) => ({ ...each, x: each.x - shift })), total: curve.total };
    }

    // Bounds of what is drawn: a few outliers of the raw values do not flatten a smoothed curve.
    bounds() {
      let [left, right, low, high] = [Infinity, -Infinity, Infinity, -Infinity];
      for (const line of this.lines) {
        line.drawn = smooth(line.y, settings.smoothing);
        for (let index = 0; index < line.x.length; index += 1) {
          const value = this.scaled(line.drawn[index]);
          if (value === null) continue;
          left = Math.min(left, line.x[index]); right = Math.max(right, line.x[index]);
          low = Math.min(low, value); high = Math.max(high, value);
        }
      }
      if (left > right) return null;
      if (this.range) [left, right] = this.range;
      const pad = (high - low || Math.abs(high) * 0.1 || 1) * 0.06;
      return { left, right: right === left ? left + 1 : right, low: low - pad, high: high + pad };
    }

    scaled(value) {
      if (value === null) return null;
      if (!settings.log) return value;
      return value > 0 ? Math.log10(value) : null;
    }

    draw() {
      const canvas = this.canvas, ratio = window.devicePixelRatio || 1;
      const width = canvas.clientWidth, height = canvas.clientHeight;
      if (!width) return;
      canvas.width = Math.round(width * ratio); canvas.height = Math.round(height * ratio);
      const pen = canvas.getContext("2d");
      pen.scale(ratio, ratio);
      pen.clearRect(0, 0, width, height);
      pen.font = "11px system-ui, sans-serif";
      const bounds = this.bounds();
      if (!bounds) {
        pen.fillStyle = css("--quiet");
        pen.textAlign = "center";
        pen.fillText(this.lines.some((line) => line.total) ? `no ${settings.log ? "positive" : "finite"} values here` : "no points here", width / 2, height / 2);
        this.place = null;
        return;
      }
      const box = { left: 46, right: width - 8, top: 8, bottom: height - 20 };
      const px = (x) => box.left + ((x - bounds.left) / (bounds.right - bounds.left)) * (box.right - box.left);
      const py = (y) => box.bottom - ((y - bounds.low) / (bounds.high - bounds.low)) * (box.bottom - box.top);
      this.place = { bounds, box, px, py };
      this.axes(pen);
      pen.save();
      pen.beginPath(); pen.rect(box.left, box.top - 4, box.right - box.left, box.bottom - box.top + 8); pen.clip();
      if (settings.smoothing) this.lines.forEach((line) => this.path(pen, line, line.y, 0.22));
      this.lines.forEach((line) => this.path(pen, line, line.drawn, 1));
      this.lines.forEach((line) => this.odd(pen, line));
      pen.restore();
      this.pointer(pen);
    }

    axes(pen) {
      const { bounds, box, px, py } = this.place;
      pen.lineWidth = 1; pen.strokeStyle = css("--line"); pen.fillStyle = css("--quiet");
      pen.textAlign = "right"; pen.textBaseline = "middle";
      for (const tick of settings.log ? logTicks(bounds.low, bounds.high) : ticks(bounds.low, bounds.high, 5)) {
        const y = Math.round(py(tick)) + 0.5;
        pen.beginPath(); pen.moveTo(box.left, y); pen.lineTo(box.right, y); pen.stroke();
        pen.fillText(figure(settings.log ? 10 ** tick : Number(tick.toPrecision(12))), box.left - 6, y);
      }
      pen.textAlign = "center"; pen.textBaseline = "top";
      for (const tick of ticks(bounds.left, bounds.right, Math.max(2, Math.floor((box.right - box.left) / 70)))) {
        const x = px(tick);
        if (x > box.left + 8 && x < box.right - 14) pen.fillText(position(Number(tick.toPrecision(12))), x, box.bottom + 6);
      }
    }

    path(pen, line, values, alpha) {
      const { px, py } = this.place;
      pen.strokeStyle = css(`--c${line.run.colour}`);
      pen.globalAlpha = alpha; pen.lineWidth = alpha === 1 ? 1.4 : 1; pen.lineJoin = "round";
      pen.beginPath();
      let open = false;
      for (let index = 0; index < line.x.length; index += 1) {
        const value = this.scaled(values[index]);
        if (value === null) { open = false; continue; }
        const x = px(line.x[index]), y = py(value);
        if (open) pen.lineTo(x, y); else pen.moveTo(x, y);
        open = true;
      }
      pen.stroke();
      if (line.x.length === 1 && values[0] !== null) { pen.fillStyle = pen.strokeStyle; pen.beginPath(); pen.arc(px(line.x[0]), py(this.scaled(values[0]) ?? 0), 3, 0, 7); pen.fill(); }
      pen.globalAlpha = 1;
    }

    // Where a value was NaN or infinite there is a small cross at the foot.
    odd(pen, line) {
      const { px, box } = this.place;
      pen.strokeStyle = css("--bad"); pen.lineWidth = 1.5;
      for (const each of line.odd) {
        const x = px(each.x), y = box.bottom - 5;
        pen.beginPath(); pen.moveTo(x - 3, y - 3); pen.lineTo(x + 3, y + 3); pen.moveTo(x + 3, y - 3); pen.lineTo(x - 3, y + 3); pen.stroke();
      }
    }

    pointer(pen) {
      if (this.drag) {
        pen.fillStyle = css("--accent"); pen.globalAlpha = 0.15;
        pen.fillRect(Math.min(...this.drag), this.place.box.top, Math.abs(this.drag[1] - this.drag[0]), this.place.box.bottom - this.place.box.top);
        pen.globalAlpha = 1;
      }
      if (this.cursor === null) return this.describe();
      const { px, py, box } = this.place;
      pen.strokeStyle = css("--strong-line"); pen.lineWidth = 1;
      pen.beginPath(); pen.moveTo(px(this.cursor), box.top); pen.lineTo(px(this.cursor), box.bottom); pen.stroke();
      const said = [];
      for (const line of this.lines) {
        const index = this.nearest(line);
        if (index < 0) continue;
        const value = this.scaled(line.drawn[index]);
        pen.fillStyle = css(`--c${line.run.colour}`);
        if (value !== null) { pen.beginPath(); pen.arc(px(line.x[index]), py(value), 3, 0, 7); pen.fill(); }
        const raw = line.odd.find((each) => each.x === line.x[index])?.value ?? figure(line.y[index]);
        said.push(this.lines.length > 1 ? `${line.run.label} ${raw}` : raw);
      }
      this.output.textContent = `${settings.axis} ${position(this.cursor)} · ${said.join(" · ")}`;
    }

    nearest(line) {
      let low = 0, high = line.x.length - 1;
      if (high < 0) return -1;
      while (low < high) {
        const middle = (low + high) >> 1;
        if (line.x[middle] < this.cursor) low = middle + 1; else high = middle;
      }
      return low > 0 && this.cursor - line.x[low - 1] < line.x[low] - this.cursor ? low - 1 : low;
    }

    describe() {
      const total = this.lines.reduce((sum, line) => sum + line.total, 0);
      const ends = this.lines.length > 4 ? [] : this.lines.filter((line) => line.y.length).map((line) => {
        const last = line.odd.find((each) => each.x === line.x.at(-1))?.value ?? figure(line.y.at(-1));
        return last;
      });
      const last = ends.length ? ` · last ${ends.join(", ")}` : "";
      const text = total ? `${total.toLocaleString("en")} points${last}` : "no points";
      this.output.textContent = text;
      this.canvas.setAttribute("aria-label", `${this.name}: ${text}`);
    }

    zoom(range) {
      this.range = range;
      this.cursor = null;
      this.load();
    }

    scale(factor) {
      if (!this.place) return;
      const { left, right } = this.place.bounds, centre = this.cursor ?? (left + right) / 2;
      this.zoom([centre - (centre - left) * factor, centre + (right - centre) * factor]);
    }

    listen() {
      const at = (event) => {
        const { bounds, box } = this.place;
        const x = Math.min(box.right, Math.max(box.left, event.offsetX));
        return { x, value: bounds.left + ((x - box.left) / (box.right - box.left)) * (bounds.right - bounds.left) };
      };
      const canvas = this.canvas;
      canvas.addEventListener("pointermove", (event) => {
        if (!this.place) return;
        const { x, value } = at(event);
        this.cursor = value;
        if (this.drag) this.drag[1] = x;
        this.draw();
      });
      canvas.addEventListener("pointerleave", () => { this.cursor = null; if (!this.drag) this.draw(); });
      canvas.addEventListener("pointerdown", (event) => {
        if (!this.place || event.pointerType === "touch") return;
        canvas.setPointerCapture(event.pointerId);
        const { x, value } = at(event);
        this.drag = [x, x]; this.from = value;
      });
      canvas.addEventListener("pointerup", (event) => {
        if (!this.drag || !this.place) return;
        const { x, value } = at(event), wide = Math.abs(x - this.drag[0]) > 6;
        this.drag = null;
        if (wide) this.zoom([Math.min(this.from, value), Math.max(this.from, value)]); else this.draw();
      });
      canvas.addEventListener("dblclick", () => this.zoom(null));
      canvas.addEventListener("keydown", (event) => this.key(event));
    }

    key(event) {
      if (!this.place) return;
      const { left, right } = this.place.bounds, step = (right - left) / 100;
      const moves = { ArrowLeft: -step, ArrowRight: step };
      if (event.key in moves) {
        this.cursor = Math.min(right, Math.max(left, (this.cursor ?? left) + moves[event.key]));
        this.draw();
      } else if (event.key === "+" || event.key === "=") this.scale(0.5);
      else if (event.key === "-") this.scale(2);
      else if (event.key === "0") this.zoom(null);
      else return;
      event.preventDefault();
      event.stopPropagation();
    }
  }

  // A chart asks for its points when it comes into view.
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      seen.unobserve(entry.target);
      const chart = new Chart(entry.target);
      charts.push(chart);
      chart.load();
    }
  }, { rootMargin: "200px" });
  const watch = (root) => root.querySelectorAll(".chart[data-metric]:not([data-watched])").forEach((each) => { each.dataset.watched = "yes"; seen.observe(each); });
  watch(document);
  document.addEventListener("htmx:afterSettle", (event) => watch(event.target));

  const form = document.querySelector("[data-chart-settings]");
  form?.addEventListener("input", (event) => {
    const axis = settings.axis;
    settings.smoothing = Number(form.elements.smoothing.value);
    settings.log = form.elements.log.checked;
    settings.axis = form.elements.axis.value;
    form.querySelector("[data-smoothing]").textContent = settings.smoothing.toFixed(2);
    charts.forEach((chart) => (axis === settings.axis ? chart.draw() : chart.zoom(null)));
    event.preventDefault();
  });
  form?.addEventListener("submit", (event) => event.preventDefault());
  form?.addEventListener("reset", () => charts.forEach((chart) => chart.zoom(null)));

  let waiting = 0;
  new ResizeObserver(() => { cancelAnimationFrame(waiting); waiting = requestAnimationFrame(() => charts.forEach((chart) => chart.draw())); }).observe(document.body);
  document.addEventListener("hub:theme", () => charts.forEach((chart) => chart.draw()));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => charts.forEach((chart) => chart.draw()));
  document.addEventListener("hub:event", ({ detail }) => {
    if (detail.kind !== "progress" && detail.kind !== "run") return;
    charts.filter((chart) => !chart.range && chart.runs.some((run) => run.id === detail.data.run)).forEach((chart) => chart.load());
  });

  // One line for each run through its parameters and results.
  const parallel = document.querySelector("[data-parallel]");
  const drawParallel = () => {
    if (!parallel) return;
    const { axes, lines } = JSON.parse(parallel.dataset.parallel), runs = JSON.parse(parallel.dataset.labels);
    const ratio = window.devicePixelRatio || 1, width = parallel.clientWidth, height = parallel.clientHeight;
    parallel.width = width * ratio; parallel.height = height * ratio;
    const pen = parallel.getContext("2d");
    pen.scale(ratio, ratio); pen.font = "11px system-ui, sans-serif";
    const side = Math.min(70, width / 8), top = 34, bottom = height - 22;
    const px = (index) => side + (index / (axes.length - 1)) * (width - 2 * side), py = (place) => bottom - place * (bottom - top);
    const room = (width - 2 * side) / (axes.length - 1) - 8;
    const fit = (text) => { let shown = text; while (shown.length > 3 && pen.measureText(shown).width > room) shown = `${shown.slice(0, -2)}…`; return shown; };
    pen.textAlign = "center";
    axes.forEach((axis, index) => {
      pen.strokeStyle = css("--strong-line"); pen.lineWidth = 1;
      pen.beginPath(); pen.moveTo(px(index), top); pen.lineTo(px(index), bottom); pen.stroke();
      pen.fillStyle = css("--ink"); pen.fillText(fit(axis.name), px(index), 12);
      pen.fillStyle = css("--quiet"); pen.fillText(fit(axis.high), px(index), top - 7); pen.fillText(fit(axis.low), px(index), bottom + 15);
    });
    lines.forEach((places, run) => {
      pen.strokeStyle = css(`--c${runs[run].colour}`); pen.lineWidth = 1.8; pen.globalAlpha = 0.85;
      pen.beginPath();
      let open = false;
      places.forEach((place, index) => {
        if (place === null) { open = false; return; }
        if (open) pen.lineTo(px(index), py(place)); else pen.moveTo(px(index), py(place));
        open = true;
      });
      pen.stroke(); pen.globalAlpha = 1;
    });
  };
  drawParallel();
  document.addEventListener("hub:theme", drawParallel);
  window.addEventListener("resize", drawParallel);
})();
