// Draws the page from the JSON in it.
(() => {
  const data = JSON.parse($("data").textContent);
  const runs = data.runs;
  const one = runs.length === 1;
  const SVG = $("svg").namespaceURI;
  const MISSING = {
    epochs: "No curves yet: metrics.jsonl is written after the first epoch.",
    timing: "No times yet: timing.jsonl is written after each epoch.",
    versions: "No versions: versions.json is written when a training begins.",
    settings: "No settings: config.toml is missing or damaged.",
  };
  const TALL = 140, LEFT = 46, RIGHT = 14, ROW = 14, BOTTOM = 36; // pixels of a plot and around it

  // Elements

  const svg = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);
  const put = (id, ...children) => fill($(id), {}, children);
  const facts = (pairs) =>
    el("dl", { class: "facts" }, pairs.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
  const shell = (command) => // line breaks between words, never within --a-flag
    el("code", {}, command.split(" ").map((word) => [el("span", {}, word), " "]));
  const protocol = (pairs) =>
    el("dl", { class: "protocol" }, pairs.map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));

  function table(caption, head, rows) {
    const cell = (value, place) => {
      const given = value && value.nodeType ? { content: value } : value && value.content !== undefined ? value : { content: value };
      const content = given.content === null || given.content === undefined ? "–" : given.content;
      return place === 0 ? el("th", { scope: "row" }, content) : el("td", { class: given.class || null }, content);
    };
    return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
      el("table", {},
        el("caption", {}, caption),
        el("thead", {}, el("tr", {}, head.map(([name, kind]) => el("th", { scope: "col", class: kind || null }, name)))),
        el("tbody", {}, rows.map((row) => el("tr", { class: row.class || null }, row.cells.map(cell))))));
  }

  function lazy(summary, build) { // built when opened, because it may be long
    const node = el("details", {}, el("summary", {}, summary));
    node.addEventListener("toggle", () => { if (node.children.length === 1) node.append(...[build()].flat()); });
    return node;
  }

  // Numbers in words

  const count = (value) => Math.round(value).toLocaleString("en-US");
  const plain = (value) =>
    value === null || value === undefined ? "–"
      : value === 0 ? "0"
      : Math.abs(value) >= 1e6 || Math.abs(value) < 0.001 ? value.toExponential(2)
      : Math.abs(value) >= 100 ? count(value) : value.toFixed(Math.abs(value) < 10 ? 3 : 1);
  function short(value) {
    const [unit, letter] = Math.abs(value) >= 1e6 ? [1e6, "M"] : Math.abs(value) >= 1e3 ? [1e3, "k"] : [1, ""];
    return String(+(value / unit).toPrecision(4)) + letter;
  }
  function duration(seconds) {
    if (seconds < 60) return `${Math.round(seconds)} s`;
    const minutes = Math.round(seconds / 60);
    return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  }
  function score(name, values) {
    const value = values[name];
    if (value === null || value === undefined) return "–";
    if (name === "kid_mean") return value.toExponential(2) + (values.kid_std ? ` ± ${values.kid_std.toExponential(0)}` : "");
    return value.toFixed(value < 10 ? 4 : 2);
  }
  function ranges(numbers) {
    const parts = [];
    for (const number of numbers) {
      const last = parts[parts.length - 1];
      if (last && number === last[1] + 1) last[1] = number;
      else parts.push([number, number]);
    }
    return parts.map(([first, last]) => (first === last ? `${first}` : `${first}–${last}`)).join(", ");
  }
  const of = (run) => (one ? "" : ` of ${run.name}`);

  // Time is in images seen. A run without metrics.jsonl has only epochs.

  for (const run of runs) {
    const { epoch, images_seen: images } = run.epochs;
    const known = new Map(epoch.map((number, place) => [number, images[place]]));
    const last = epoch.length - 1;
    const each = last >= 0 && epoch[last] ? images[last] / epoch[last] : 1;
    run.x = (number) => (known.has(number) ? known.get(number) : number * each);
    // With many epochs not all are on the page, but those of the grids have to be found.
    const marks = [...new Set([...epoch, ...run.samples.shown.map((sample) => sample.epoch)])].sort((a, b) => a - b);
    const times = marks.map(run.x);
    run.epochAt = (x) => {
      const place = epoch.length ? latest(times, x) : -1;
      return place < 0 ? Math.round(x / each) : marks[place];
    };
  }
  function latest(xs, x) { // the last place with xs[place] <= x; -1 if there is none
    let low = -1, high = xs.length;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (xs[middle] <= x) low = middle; else high = middle;
    }
    return low;
  }
  const sorted = (values) => [...new Set(values)].sort((a, b) => a - b);
  const shots = sorted(runs.flatMap((run) => run.samples.shown.map((sample) => run.x(sample.epoch))));
  const positions = sorted([...runs.flatMap((run) => run.epochs.images_seen), ...shots]);
  const axis = runs.some((run) => run.epochs.epoch.length) ? "images seen" : "epoch";
  const end = positions.length ? positions[positions.length - 1] : 1;

  // Plots

  function ticks(low, high, about) {
    const rough = (high - low) / about || 1;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 2.5, 5, 10].find((factor) => factor * power >= rough) * power;
    const found = [];
    for (let number = Math.ceil(low / step); number * step <= high + step * 1e-9; number += 1) found.push(number * step);
    return found;
  }
  function percentile(values, share) {
    return values.length ? values[Math.min(values.length - 1, Math.floor(share * values.length))] : 0;
  }

  const plots = [];

  // spec: title, series [{name, run, x, y, fine, color}], levels [{y, name}], low and high (null: from the values), marks, explain
  function plot(spec) {
    const hidden = new Set();
    const drawing = svg("svg", { class: "plot", role: "img", "aria-label": inWords(spec) });
    const values = spec.series.map(() => el("b", {}));
    const legend = el("ul", { class: "legend" }, spec.series.map((line, number) => {
      const button = el("button", { type: "button", "aria-pressed": "true", title: "show or hide this curve" },
        svg("svg", { viewBox: "0 0 24 10", "aria-hidden": "true" }, svg("path", { class: `curve s${line.color}`, d: "M1 5H23" })),
        el("span", {}, line.name, " ", values[number]));
      button.addEventListener("click", () => {
        if (!hidden.delete(number)) hidden.add(number);
        button.setAttribute("aria-pressed", String(!hidden.has(number)));
        draw();
      });
      return el("li", {}, button);
    }), spec.levels.map((level) => el("li", { class: "fixed" },
      svg("svg", { viewBox: "0 0 24 10", "aria-hidden": "true" }, svg("path", { class: "level", d: "M1 5H23" })), level.name)));
    const node = el("figure", { class: "chart" }, el("h3", {}, spec.title), legend, drawing, el("p", {}, spec.explain));
    const named = spec.marks && one ? runs[0].troubles.length : 0; // one row above the plot for each
    const top = 10 + ROW * named, bottom = top + TALL, height = bottom + BOTTOM;
    let width = 0, marker = null, x = end, toX = () => 0, toY = () => 0;

    function limits() {
      const shown = spec.series.filter((line, number) => !hidden.has(number));
      const all = shown.flatMap((line) => [...line.y, ...(line.fine ? line.fine.y : [])])
        .filter((value) => value !== null).sort((a, b) => a - b);
      const levels = spec.levels.map((level) => level.y);
      const margin = 1.08; // the percentiles keep outliers from flattening the curves
      const low = spec.low !== null ? spec.low : Math.min(0, percentile(all, 0.01) * margin);
      const high = spec.high !== null ? spec.high : Math.max(percentile(all, 0.99), ...levels, low + 1e-9) * margin;
      return [low, high];
    }

    function path(line) {
      let text = "", pen = "M";
      line.x.forEach((value, place) => {
        if (line.y[place] === null || value > end) { pen = "M"; return; } // a checkpoint may be newer than the last epoch
        text += `${pen}${toX(value).toFixed(1)} ${toY(line.y[place]).toFixed(1)}`;
        pen = "L";
      });
      return text;
    }

    function draw() {
      width = Math.max(drawing.clientWidth || node.clientWidth || 480, 200);
      const [low, high] = limits();
      const right = width - RIGHT;
      toX = (value) => LEFT + ((right - LEFT) * value) / end;
      toY = (value) => Math.min(Math.max(bottom - (TALL * (value - low)) / (high - low), top), bottom);
      drawing.setAttribute("viewBox", `0 0 ${width} ${height}`);
      drawing.setAttribute("height", height);
      drawing.replaceChildren();
      for (const value of ticks(low, high, 4)) {
        drawing.append(
          svg("line", { class: "gridline", x1: LEFT, x2: right, y1: toY(value), y2: toY(value) }),
          svg("text", { x: LEFT - 8, y: toY(value) + 4, "text-anchor": "end" }, short(value)));
      }
      for (const value of ticks(0, end, width / 90)) {
        drawing.append(svg("text", { x: toX(value), y: bottom + 15, "text-anchor": "middle" }, short(value)));
      }
      drawing.append(svg("text", { x: right, y: height - 5, "text-anchor": "end" }, axis));
      for (const level of spec.levels) {
        drawing.append(svg("line", { class: "level", x1: LEFT, x2: right, y1: toY(level.y), y2: toY(level.y) }));
      }
      if (spec.marks) drawMarks();
      spec.series.forEach((line, number) => {
        if (hidden.has(number)) return;
        if (line.fine) drawing.append(svg("path", { class: `fine s${line.color}`, d: path(line.fine) }));
        drawing.append(svg("path", { class: `curve s${line.color}`, d: path(line) }));
        if (line.x.length < 30) { // makes a single point visible
          drawing.append(...line.x.map((value, place) => line.y[place] === null ? ""
            : svg("circle", { class: `f${line.color}`, r: 2.6, cx: toX(value), cy: toY(line.y[place]) })));
        }
      });
      marker = svg("g", {}, svg("line", { class: "cursor", y1: top, y2: bottom }),
        spec.series.map((line) => svg("circle", { class: `dot f${line.color}`, r: 4.5 })));
      drawing.append(marker);
      move(x);
    }

    function drawMarks() {
      runs.forEach((run) => {
        for (const change of run.changes) {
          const place = toX(run.x(change.epoch));
          drawing.append(svg("line", { class: "change", x1: place, x2: place, y1: top, y2: bottom },
            svg("title", {}, `${change.what}, after epoch ${change.epoch}${of(run)}`)));
        }
        run.troubles.forEach((trouble, number) => {
          const place = toX(run.x(trouble.epoch));
          const text = `${trouble.what}, epoch ${trouble.epoch}${of(run)}`;
          const y = ROW * (number + 1);
          const beside = place > width / 2 ? { x: place - 6, "text-anchor": "end" } : { x: place + 6 };
          drawing.prepend(svg("line", { class: "mark", x1: place, x2: place, y1: one ? y - 8 : top, y2: bottom }, svg("title", {}, text)));
          if (one) drawing.append(svg("text", { class: "name markname", y, ...beside }, text));
        });
      });
    }

    function move(to) {
      x = to;
      if (!marker) return;
      const [cursor, ...dots] = marker.children;
      cursor.setAttribute("x1", toX(x));
      cursor.setAttribute("x2", toX(x));
      spec.series.forEach((line, number) => {
        const place = Math.max(latest(line.x, x), 0);
        const value = line.x.length ? line.y[place] : null;
        values[number].textContent = plain(value);
        if (value === null || value === undefined || hidden.has(number)) dots[number].setAttribute("visibility", "hidden");
        else {
          dots[number].setAttribute("visibility", "visible");
          dots[number].setAttribute("cx", toX(line.x[place]));
          dots[number].setAttribute("cy", toY(value));
        }
      });
    }

    const under = (event) => {
      const box = drawing.getBoundingClientRect();
      return nearest((((event.clientX - box.left) * width) / box.width - LEFT) / (width - LEFT - RIGHT) * end);
    };
    let down = null; // where a touch began: a vertical swipe scrolls the page and leaves the time alone
    const scrolls = (event) => event.pointerType === "touch" && down &&
      Math.abs(event.clientX - down.clientX) <= Math.abs(event.clientY - down.clientY);
    drawing.addEventListener("pointerdown", (event) => { down = event; });
    drawing.addEventListener("pointermove", (event) => {
      if (!event.buttons) peek(positions[under(event)]);
      else if (!scrolls(event)) go(under(event));
    });
    drawing.addEventListener("click", (event) => go(under(event)));
    drawing.addEventListener("pointerleave", () => peek(positions[at]));
    const shape = { node, draw, move };
    plots.push(shape);
    return node;
  }

  function inWords(spec) {
    const lines = spec.series.map((line) => {
      const known = line.y.filter((value) => value !== null);
      return known.length ? `${line.name} goes from ${plain(known[0])} to ${plain(known[known.length - 1])}` : `${line.name} has no values`;
    });
    return `${spec.title} over ${axis}: ${lines.join("; ")}.`;
  }

  const QUANTITIES = {
    d_loss: "Loss of D, d_loss", g_loss: "Loss of G, g_loss", d_real: "D(x) on real images", d_fake: "D(x) on generated images",
    diversity: "Pixel variation of the samples",
  };
  const EXPLAIN = {
    losses: "d_loss: how badly D distinguishes real from generated images. g_loss: how far G is from fooling D. One network gains what the other loses, " +
      "so neither should reach zero. The losses do not measure image quality.",
    d_loss: "How badly D distinguishes real from generated images. Near zero, D recognizes every generated image and G learns little.",
    g_loss: "How far G is from fooling D of the same run. Do not compare it between runs: a lower g_loss does not mean better images.",
    d: "D's output as a probability that an image is real. If the curves are far apart, D recognizes generated images; near 0.5, D cannot distinguish them.",
    d_real: "D's output for real images, as a probability that they are real.",
    d_fake: "D's output for generated images, as a probability that they are real. At 0, D is never fooled.",
    diversity: "How much the pixels of the samples differ from each other, relative to real images: 1 is as varied as real images. Noise may also reach 1. Below 0.3, G repeats nearly the same image (mode collapse).",
    score: "Distance between the Inception features of generated and real images; lower is better.",
    floor: " Dotted: the baseline, what real images score against other real images.",
    images_per_second: "Training images per second in each epoch. The first epoch includes compilation; later drops are often due to other programs.",
    peak_memory_mb: "Peak memory of the process, or of its GPU, in MB. It should stop growing after the first epochs.",
  };

  function line(run, name, label, color) {
    const fine = run.steps.images_seen ? { x: run.steps.images_seen, y: run.steps[name] } : null;
    return { name: label, run, x: run.epochs.images_seen, y: run.epochs[name], fine: fine && fine.y ? fine : null, color };
  }
  function guesses(shown) {
    const found = sorted(shown.map((run) => run.guessing));
    return found.map((y) => ({ y, name: `${Math.abs(y - Math.LN2) < 1e-9 ? "ln 2" : short(y)}: D only guesses` }));
  }
  function specs(shown) {
    const share = { low: 0, high: 1, levels: [], marks: true };
    const variety = { low: 0, high: null, levels: [{ y: 0.3, name: "below: collapse" }], marks: true };
    const losses = { low: null, high: null, levels: guesses(shown), marks: true };
    const equal = losses.levels.filter(({ y }) => Math.abs(y - Math.LN2) < 1e-9); // of d_loss and g_loss
    if (one) {
      const [run] = shown;
      return [
        { title: "Losses", explain: EXPLAIN.losses, ...losses,
          series: [line(run, "d_loss", "d_loss", 0), line(run, "g_loss", "g_loss", 1)] },
        { title: "D(x)", explain: EXPLAIN.d, ...share,
          series: [line(run, "d_real", "real images", 2), line(run, "d_fake", "generated images", 3)] },
        { title: QUANTITIES.diversity, explain: EXPLAIN.diversity, ...variety, series: [line(run, "diversity", "diversity", 4)] },
      ];
    }
    return Object.keys(QUANTITIES).map((name) => ({
      title: QUANTITIES[name], explain: EXPLAIN[name],
      ...(name === "diversity" ? variety : name === "g_loss" ? { ...losses, levels: equal } : name === "d_loss" ? losses : share),
      series: shown.map((run) => line(run, name, run.name, runs.indexOf(run))),
    }));
  }
  function scoreSpecs() { // the newest comparable scores, if a run has two or more
    for (const group of data.groups) {
      const series = runs.map((run, number) => {
        const own = group.filter(([owner]) => owner === number).map(([, place]) => run.scores[place])
          .filter((found) => found.epoch !== null && found.epoch !== undefined).sort((a, b) => a.epoch - b.epoch);
        return { name: one ? (own[0] ? data.labels[own[0].name] : "") : run.name, run, color: one ? 0 : number,
          x: own.map((found) => run.x(found.epoch)), y: own.map((found) => found.values[found.name]) };
      }).filter((found) => found.x.length);
      if (!series.some((found) => found.x.length > 1)) continue;
      const [owner, place] = group[0];
      const first = runs[owner].scores[place];
      const floor = first.floor[first.name];
      const known = floor !== null && floor !== undefined;
      return [{ title: data.labels[first.name], explain: EXPLAIN.score + (known ? EXPLAIN.floor : ""), low: 0, high: null, series, marks: true,
        levels: known ? [{ y: floor, name: "baseline" }] : [] }];
    }
    return [];
  }
  function speedSpecs() {
    const timed = runs.filter((run) => run.timing.epoch.length);
    return [["images_per_second", "Images per second"], ["peak_memory_mb", "Peak memory, MB"]].map(([name, title]) => ({
      title, explain: EXPLAIN[name], low: 0, high: null, levels: [],
      series: timed.map((run) => ({ name: one ? title : run.name, run, color: one ? 6 : runs.indexOf(run),
        x: run.timing.epoch.map(run.x), y: run.timing[name] })),
    })).filter((spec) => spec.series.some((found) => found.y.some((value) => value !== null)));
  }

  // The samples, and the slider for all parts

  const views = runs.map((run) => {
    const shown = run.samples.shown;
    const left = run.samples.left_out;
    if (!shown.length && left.length) return { node: el("p", { class: "note" }, one ? "" : `${run.name}: `, `The ${left.length} grids are damaged or do not fit on this page; they are in ${run.folder}/samples.`), move() {} };
    if (!shown.length) return { node: el("p", { class: "note" }, one ? "" : `${run.name}: `, run.missing.samples), move() {} };
    const image = el("img", { id: one ? "sample" : null, decoding: "sync" });
    const caption = el("span", {});
    const node = el("figure", { class: shown[0].width < 400 ? "samples small" : "samples" },
      one ? null : el("h3", {}, run.name), image,
      el("figcaption", {}, caption,
        left.length ? lazy(`${left.length} of ${left.length + shown.length} grids are not on this page`, () =>
          el("p", {}, `Epochs ${ranges(left)}, damaged or omitted to keep the page small. They are in ${run.folder}/samples.`)) : null));
    const strip = run.reals ? el("figure", { class: "reals" },
      el("img", { src: run.reals.src, alt: `Real images${of(run)} from the training data` }), el("figcaption", {}, "Real images, as the networks see them.")) : null;
    const xs = shown.map((sample) => run.x(sample.epoch));
    function move(x) {
      const sample = shown[Math.max(latest(xs, x), 0)];
      image.src = sample.src;
      image.width = sample.width;
      image.height = sample.height;
      image.dataset.epoch = sample.epoch;
      image.alt = `Generated images${of(run)} after epoch ${sample.epoch}`;
      const best = run.best && run.best.epoch === sample.epoch ? `, the best by ${run.best.name} (${plain(run.best.value)})` : "";
      const newer = run.epochAt(x) > sample.epoch ? ` (no grid of epoch ${run.epochAt(x)} on this page)` : "";
      caption.textContent = `After epoch ${sample.epoch}${best}${newer}. All grids have the same latents.${run.samples.rows ? ` Their rows from the top: ${run.samples.rows}.` : ""}`;
    }
    return { node, strip, move };
  });

  const slider = $("slider");
  let at = Math.max(positions.length - 1, 0);
  const nearest = (x) => {
    const place = latest(positions, x);
    if (place < 0) return 0;
    return place + 1 < positions.length && positions[place + 1] - x < x - positions[place] ? place + 1 : place;
  };
  const peek = (x) => { if (positions.length) for (const shape of plots) shape.move(x); };

  function show(place) {
    if (!positions.length) return;
    at = Math.min(Math.max(place, 0), positions.length - 1);
    const x = positions[at];
    const planned = one && runs[0].planned;
    const words = axis === "epoch" ? `epoch ${x}`
      : (one ? `epoch ${runs[0].epochAt(x)}${planned ? ` of ${planned}` : ""}, ` : "") + `${count(x)} images seen`;
    slider.value = String(at);
    slider.setAttribute("aria-valuetext", words);
    $("now").textContent = words;
    for (const view of views) view.move(x);
    for (const shape of plots) shape.move(x);
    $("before").disabled = !shots.some((shot) => shot < x);
    $("after").disabled = !shots.some((shot) => shot > x);
  }

  let later = 0;
  function go(place) { // by hand: the address keeps it, a moment later, because browsers limit such changes
    stop();
    show(place);
    clearTimeout(later);
    later = setTimeout(() => {
      const x = positions[at];
      try {
        history.replaceState(null, "", one ? `#epoch=${runs[0].epochAt(x)}` : `#images=${Math.round(x)}`);
      } catch { /* some browsers refuse this for a page from disk */ }
    }, 300);
  }
  function fromAddress() {
    const match = /^#(epoch|images)=(\d{1,15})$/.exec(location.hash);
    if (match) show(nearest(match[1] === "epoch" ? runs[0].x(Number(match[2])) : Number(match[2])));
  }
  const step = (way) => {
    const x = positions[at];
    return way > 0 ? shots.find((shot) => shot > x) : shots.filter((shot) => shot < x).pop();
  };
  let timer = 0;
  function stop() {
    clearInterval(timer);
    timer = 0;
    $("play").textContent = "Play";
  }
  function play() {
    if (timer) return stop();
    if (step(1) === undefined) show(nearest(shots[0]));
    $("play").textContent = "Pause";
    timer = setInterval(() => {
      const next = step(1);
      if (next === undefined) stop(); else show(nearest(next));
    }, 450);
  }

  // The parts of the page

  function showHeading() {
    $("title").textContent = runs.map((run) => run.name).join(" and ");
    $("kicker").textContent = one ? "Training report" : `${runs.length} trainings side by side`;
    const setting = (run, name) => {
      const rows = (run.settings.groups || []).flatMap((group) => group.rows);
      const found = rows.find((row) => row.name === name);
      return found ? found.value : null;
    };
    const about = (run) => {
      const last = run.epochs.epoch.length - 1;
      return [
        ["recipe", run.settings.recipe],
        ["data set", setting(run, "dataset")],
        ["epochs", last >= 0 && `${run.epochs.epoch[last]}${run.planned ? ` of ${run.planned}` : ""}`],
        ["images seen", last >= 0 && count(run.epochs.images_seen[last])],
        ["training time", run.speed.seconds && duration(run.speed.seconds)],
        ["d_loss", last >= 0 && plain(run.epochs.d_loss[last])],
        ["g_loss", last >= 0 && plain(run.epochs.g_loss[last])],
        ["best score", run.best && `${run.best.name} ${plain(run.best.value)}, epoch ${run.best.epoch}`],
      ];
    };
    put("facts", one ? facts(about(runs[0]).filter(([, value]) => value))
      : table("The runs", [["run"], ...about(runs[0]).map(([name]) => [name])],
        runs.map((run) => ({ cells: [run.name, ...about(run).map(([, value]) => ({ class: "short", content: value || "–" }))] }))));
  }

  const live = data.reload && 1000 * data.reload.until > Date.now() && location.protocol !== "about:"; // not in a notebook's frame
  function showVerdicts() {
    for (const run of runs) {
      if (run.verdict) {
        put("verdicts", el("p", { class: `verdict ${run.verdict.kind === "fine" ? "" : "trouble"}` },
          el("b", {}, one ? "" : `${run.name}: `, run.verdict.title), ` ${run.verdict.text} `, el("span", { class: "advice" }, live && run.verdict.kind === "short" ? "Wait for more." : run.verdict.advice)));
      }
    }
    if (data.reload) put("verdicts", el("p", { class: "note" }, `Written during the training, ${data.written}. ${live ? "This page reloads itself." : "It had not ended then."}`));
    if (one && runs[0].command) put("facts", el("p", { class: "typed" }, shell(runs[0].command)));
  }

  function showMarks() {
    for (const run of runs) {
      for (const trouble of run.troubles) put("marks", el("p", { class: "trouble" }, one ? "" : `${run.name}: `, trouble.text));
      if (run.changes.length) {
        put("marks", el("p", { class: "note" }, `Settings${of(run)} changed during the training: `,
          run.changes.map((change) => `${change.what} after epoch ${change.epoch}`).join("; "), "."));
      }
      if (run.warnings.length) {
        put("marks", lazy(`Warnings in the log${of(run)} (${run.warnings.length})`, () =>
          el("ul", { class: "small-print" }, run.warnings.map((warning) => el("li", {}, warning)))));
      }
    }
  }

  function showFigures() {
    const names = ["epoch", "step", "images_seen", "d_loss", "g_loss", "d_real", "d_fake", "diversity", "roughness"];
    for (const run of runs) {
      if (!run.epochs.epoch.length) { put("tables", el("p", { class: "note" }, one ? "" : `${run.name}: `, MISSING.epochs)); continue; }
      put("tables", lazy(`All numbers${of(run)}, by epoch`, () => table(`metrics.jsonl${of(run)}`,
        names.map((name) => [name, name === "epoch" ? null : "number"]),
        run.epochs.epoch.map((_, place) => ({ cells: names.map((name) => {
          const value = run.epochs[name][place];
          return { class: "number", content: value === null ? "–" : String(value) };
        }) })))));
    }
    if (runs.some((run) => run.reals)) {
      put("tables", lazy("More real images", () => runs.filter((run) => run.reals).map((run) =>
        el("figure", { class: "pairs" }, one ? null : el("h3", {}, run.name),
          el("img", { src: run.reals.src, width: run.reals.width, height: run.reals.height, alt: `Real images${of(run)} from the training data` })))));
    }
  }

  function showScores() {
    if (data.groups.length) {
      put("scores", el("p", { class: "lead prose" },
        "Lower is better for FID, FID-768 and KID; higher is better for precision, recall and the Inception Score. " +
        "Compare scores only within a table: each table has one protocol. FID-768 is not FID."));
    }
    for (const group of data.groups) {
      const found = group.map(([owner, place]) => ({ run: runs[owner], ...runs[owner].scores[place] }));
      const names = Object.keys(data.labels).filter((name) => found.some((each) => each.values[name] !== null && each.values[name] !== undefined));
      const first = found[0];
      const best = (each) => each.run.best && each.run.best.epoch === each.epoch && each.run.best.value === each.values[each.name];
      const cells = (values) => names.map((name) => ({ class: "number", content: score(name, values) }));
      put("scores",
        table(`Reference set: ${first.against}`, [["scored"], ...names.map((name) => [data.labels[name], "number"])], [
          ...found.map((each) => ({ class: best(each) ? "best" : null, cells: [each.title + (best(each) ? ", best/" : ""), ...cells(each.values)] })),
          { class: "floor", cells: ["baseline", ...cells(first.floor)] },
        ]),
        el("p", { class: "soft prose" }, `Baseline, real images against other real images: ${first.floor_of}.`),
        [...new Set(found.flatMap((each) => each.notes))].map((note) => el("p", { class: "soft prose" }, note)),
        lazy("Protocol of these scores", () => protocol(first.stamp)));
    }
    for (const run of runs) if (!run.scores.length) put("scores", el("p", { class: "note" }, one ? "" : `${run.name}: `, run.missing.scores));
  }

  function showCopies() {
    for (const run of runs) {
      const found = run.memorisation;
      if (!one) put("copies", el("h3", {}, run.name));
      if (!found.verdict && !run.pairs) { put("copies", el("p", { class: "note" }, run.missing.memorisation)); continue; }
      if (found.verdict) {
        const percent = (value) => `${(100 * value).toFixed(1)}%`;
        put("copies",
          facts([["verdict", found.verdict], ["samples too near to a training image", percent(found.copies)],
            found.allowed === undefined ? null : ["expected by chance, at most", percent(found.allowed)],
            found.samples === undefined ? null : ["samples", count(found.samples)],
            found.epoch === undefined ? null : ["epoch", String(found.epoch)]].filter(Boolean)),
          el("p", { class: "soft prose" }, `Training: ${found.training || "not named"}. Held out: ${found.held_out || "not named"}.`));
      }
      if (run.pairs) {
        put("copies", el("figure", { class: "pairs" },
          el("img", { src: run.pairs.src, width: run.pairs.width, height: run.pairs.height, alt: "Pairs of a generated image and its nearest training image" }),
          el("figcaption", { class: "prose" }, "Each pair: a generated image and the training image nearest to it, in blurred pixels (above) and in Inception features (below). " +
            "Similar faces are expected. The same face means that G has memorized the image.")));
      }
    }
  }

  function showSettings() {
    const rows = (run) => (run.settings.groups || []).flatMap((group) => group.rows);
    const value = (text) => el("span", { class: "value" }, text === "" ? "(empty)" : text);
    if (!one) {
      const known = runs.filter((run) => run.settings.groups);
      const differing = known.length ? rows(known[0]).map((row, place) => ({ row, all: known.map((run) => rows(run)[place].value) }))
        .filter(({ all }) => new Set(all).size > 1) : [];
      put("settings", differing.length
        ? table("Settings that differ between the runs", [["setting"], ...known.map((run) => [run.name]), ["meaning"]],
          differing.map(({ row, all }) => ({ cells: [value(row.name), ...all.map(value), { class: "text", content: row.help }] })))
        : el("p", { class: "note" }, "The runs have the same known settings."));
    }
    for (const run of runs) {
      if (!run.settings.groups) { put("settings", el("p", { class: "note" }, one ? "" : `${run.name}: `, MISSING.settings)); continue; }
      const own = rows(run).filter((row) => row.recipe !== null);
      put("settings", own.length
        ? table(`Settings${of(run)} that differ from the recipe ${run.settings.recipe}`, [["setting"], ["here"], ["recipe"], ["meaning"]],
          own.map((row) => ({ cells: [value(row.name), value(row.value), value(row.recipe), { class: "text", content: row.help }] })))
        : el("p", {}, `All settings${of(run)} are from the recipe ${run.settings.recipe}.`),
      lazy(`All settings${of(run)}`, () => run.settings.groups.map((group) => table(group.heading, [["setting"], ["value"], ["meaning"]],
        group.rows.map((row) => ({ cells: [value(row.name), value(row.value), { class: "text", content: row.help }] }))))));
    }
  }

  function showSpeed() {
    for (const run of runs) {
      if (!run.timing.epoch.length) { put("speed", el("p", { class: "note" }, one ? "" : `${run.name}: `, MISSING.timing)); continue; }
      if (!one) put("speed", el("h3", {}, run.name));
      put("speed", facts([
        ["images per second, median", plain(run.speed.images_per_second)],
        ["training time", duration(run.speed.seconds)],
        run.speed.peak_memory_mb ? ["peak memory", `${count(run.speed.peak_memory_mb)} MB`] : null,
      ].filter(Boolean)));
    }
    put("speed", el("div", { class: "plots" }, speedSpecs().map(plot)));
  }

  function showNextSteps() {
    put("next", el("p", { class: "lead prose" }, "Run these in the folder of the project:"));
    for (const run of runs) {
      if (!one) put("next", el("h3", {}, run.name));
      put("next", el("ul", { class: "commands" }, run.commands.map(([what, command]) => {
        const code = shell(command);
        return el("li", {}, el("span", {}, what), el("div", { class: "command" }, code,
          el("button", { type: "button", "aria-label": `Copy: ${what}`, onclick: () => copy(command, code) }, "Copy")));
      })));
    }
  }
  function copy(text, node) {
    const select = () => {
      getSelection().selectAllChildren(node);
      $("said").textContent = "selected";
    };
    if (!navigator.clipboard) return select();
    navigator.clipboard.writeText(text).then(() => { $("said").textContent = "copied"; }, select);
  }

  function showVersions() {
    for (const run of runs) {
      if (!one) put("versions", el("h3", {}, run.name));
      put("versions", run.versions.length ? protocol(run.versions) : el("p", { class: "note" }, MISSING.versions));
    }
  }

  function showNotes() {
    const lines = runs.flatMap((run) => run.notes.map((note) => (one ? note : `${run.name}: ${note}`)));
    if (!lines.length) return;
    $("notes").hidden = false;
    put("notes", el("ul", { class: "small-print" }, lines.map((text) => el("li", {}, text))));
  }

  document.body.classList.add(one ? "one" : "many");
  showHeading();
  showVerdicts();
  $("grids").append(...views.map((view) => el("div", {}, view.node, view.strip)));
  const drawable = runs.filter((run) => run.epochs.epoch.length);
  $("charts").append(...(drawable.length ? specs(drawable) : []).map(plot), ...scoreSpecs().map(plot));
  showMarks();
  showFigures();
  showScores();
  showCopies();
  showSettings();
  showSpeed();
  showNextSteps();
  showVersions();
  showNotes();
  $("footer").textContent = `Written ${data.written} by dcgan_tf ${data.version} from ${runs.map((run) => run.folder).join(" and ")}.`;

  if (live) {
    setInterval(() => { if (!timer && !document.hidden) location.reload(); }, 1000 * data.reload.every);
  }
  slider.max = String(Math.max(positions.length - 1, 0));
  $("bar").hidden = positions.length < 2;
  slider.addEventListener("input", () => go(Number(slider.value)));
  $("before").addEventListener("click", () => go(nearest(step(-1))));
  $("after").addEventListener("click", () => go(nearest(step(1))));
  $("play").addEventListener("click", play);
  $("play").disabled = shots.length < 2;
  addEventListener("hashchange", fromAddress);
  // Notebooks show this page in an iframe's srcdoc. There #time belongs to the surrounding page, and
  // the browser would load that page in here. Outside an iframe, the browser follows the link.
  const bare = (address) => address.split("#")[0];
  for (const link of document.querySelectorAll('a[href^="#"]')) {
    if (bare(link.href) === bare(location.href)) continue;
    link.addEventListener("click", (event) => {
      event.preventDefault();
      const target = $(link.hash.slice(1));
      if (target.tabIndex < 0) target.tabIndex = -1; // without it, a section cannot take the focus
      target.focus({ preventScroll: true });
      target.scrollIntoView();
    });
  }
  const redraw = () => { for (const shape of plots) shape.draw(); };
  redraw();
  show(at);
  fromAddress();
  let seen = innerWidth;
  addEventListener("resize", () => { if (innerWidth !== seen) { seen = innerWidth; redraw(); } });
})();
