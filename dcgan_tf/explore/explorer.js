// The page. An image is described by a recipe (latent_formula.py), which `paint` turns into pixels here or
// on the server. The recipe is in the address, so a link identifies the image.
(() => {
  const data = JSON.parse($("data").textContent);
  const paint = painter(data);
  const TERMS = [
    { key: "a", sign: "", name: "A", words: "start from" },
    { key: "b", sign: "−", name: "B", words: "subtract" },
    { key: "c", sign: "+", name: "C", words: "add" },
    { key: "d", sign: "→", name: "D", words: "interpolate to" },
  ];
  const KINDS = { attribute: "Attributes, learned from labels", component: "GANSpace: principal components of the first layer", kernel: "SeFa: strongest directions of the first layer" };
  const PAGE = 64, STEPS = 9, SEED = 2 ** 32 - 1, FACES = 2048; // FACES: most faces on the wall
  const EMPTY = { a: [], b: [], c: [], d: [], way: 0.5, along: {}, truncation: 1, label: "" };
  const normal = data.latent_dim - (data.labels ? data.labels.names.length : 0); // numbers before the label
  const START = { ...EMPTY, a: [data.seed], truncation: 0.7 };
  const isEmpty = (list) => list.length === 0;
  const short = (sha256) => sha256.slice(0, 12);
  const usesDirections = (of) => !isEmpty(Object.keys(of.along));

  const announce = (text) => { $("said").textContent = text; };
  function showError(text) {
    $("trouble").hidden = !text;
    $("trouble").textContent = text;
  }

  // The recipe: in the address, and in words

  let recipe = START;
  const change = (parts) => ({ ...recipe, ...parts });

  function toLink(of) { // the address after #: only what differs from EMPTY
    const parts = TERMS.filter(({ key }) => !isEmpty(of[key])).map(({ key }) => `${key}=${of[key].join(",")}`);
    if (!isEmpty(of.d)) parts.push(`way=${of.way}`);
    if (of.truncation !== EMPTY.truncation) parts.push(`truncation=${of.truncation}`);
    for (const [name, amount] of Object.entries(of.along)) parts.push(`along.${encodeURIComponent(name)}=${amount}`);
    if (of.label) parts.push(`label=${encodeURIComponent(of.label)}`);
    if (usesDirections(of)) parts.push(`directions=${short(data.directions_sha256)}`); // other directions may have the same names
    return [...parts, `of=${short(data.sha256)}`].join("&");
  }

  function fromLink(text) { // inverse of toLink; an Error says why the recipe cannot be shown
    const found = { ...EMPTY };
    let made = null; // hash of the link's directions; older links have none
    for (const part of text.split("&").filter(Boolean)) {
      const [name, value] = [part.slice(0, part.indexOf("=")), part.slice(part.indexOf("=") + 1)];
      const number = (low, high) => {
        if (!/^-?\d+(\.\d+)?(e-?\d+)?$/.test(value) || Number(value) < low || Number(value) > high) throw new Error(`${part} is not valid`);
        return Number(value);
      };
      if (name === "of") {
        if (value !== short(data.sha256)) throw new Error(`it is from another generator (${value}); this one is ${short(data.sha256)}`);
      } else if (name === "directions") made = value;
      else if (TERMS.some(({ key }) => key === name)) {
        found[name] = value.split(",").map(seedOf);
        if (found[name].length > data.picks || found[name].includes(null)) throw new Error(`${part} is not valid`);
      } else if (name === "label") {
        found.label = decodeURIComponent(value);
        if (!data.labels || !readLabel(found.label, data.labels)) throw new Error(`there is no label ${found.label} here`);
      } else if (name === "way") found.way = number(0, 1);
      else if (name === "truncation") found.truncation = number(0, 1e6);
      else if (name.startsWith("along.")) {
        const direction = decodeURIComponent(name.slice(6));
        if (!data.directions.some((one) => one.name === direction)) throw new Error(`there is no direction ${direction} here`);
        found.along = { ...found.along, [direction]: number(-data.amount, data.amount) }; // also __proto__
      } else throw new Error(`${part} is not valid`);
    }
    const own = short(data.directions_sha256);
    if (made !== null && made !== own && usesDirections(found)) throw new Error(`it uses other directions (${made}); this page has ${own}. Start the explorer with their file (--directions FILE)`);
    return found;
  }

  function seedOf(text) { // null if it is no seed
    return /^\s*\d{1,10}\s*$/.test(text) && Number(text) <= SEED ? Number(text) : null;
  }

  function inWords(of) {
    const mean = (seeds) => (seeds.length === 1 ? String(seeds[0]) : `mean(${seeds.join(", ")})`);
    let text = isEmpty(of.a) ? "" : mean(of.a);
    if (!isEmpty(of.b)) text += `${text ? " " : ""}- ${mean(of.b)}`;
    if (!isEmpty(of.c)) text += text ? ` + ${mean(of.c)}` : mean(of.c);
    text = text || "0";
    if (!isEmpty(of.d)) text = `slerp(${text}, ${mean(of.d)}, ${of.way})`;
    for (const [name, amount] of Object.entries(of.along)) text += ` ${amount < 0 ? "-" : "+"} ${Math.abs(amount)} ${name}`;
    return text;
  }
  const singleSeed = (of) => {
    const plain = of.a.length === 1 && isEmpty(of.b) && isEmpty(of.c) && isEmpty(of.d) && !usesDirections(of);
    return plain ? of.a[0] : null;
  };

  function labelOf(of) { // as generate.py writes it; of several seeds what is chosen
    const seed = singleSeed(of);
    return data.labels && seed !== null ? labelText(seedLabel(seed, of.label, data.labels), data.labels) : of.label;
  }
  function captionOf(of) {
    const seed = singleSeed(of), label = labelOf(of);
    return (seed === null ? inWords(of) : `seed ${seed}`) + (label ? `, label ${label}` : "");
  }

  // Canvases

  function draw(canvas, { pixels }) {
    const { height, width, channels } = data;
    const image = new ImageData(width, height);
    for (let at = 0, from = 0; at < image.data.length; at += 4, from += channels) {
      for (let channel = 0; channel < 3; channel += 1) image.data[at + channel] = pixels[from + (channels === 1 ? 0 : channel)];
      image.data[at + 3] = 255;
    }
    canvas.getContext("2d").putImageData(image, 0, 0);
  }
  const blank = (attributes = { "aria-hidden": "true" }) => el("canvas", { width: data.width, height: data.height, ...attributes });

  // Faces by seed, each generated once per truncation and label

  let faces = new Map(), facesAt = recipe;
  const waiting = new Map(); // seed: canvases waiting for its face
  let fetching = false;

  function face(seed) {
    const canvas = blank();
    if (faces.has(seed)) draw(canvas, faces.get(seed));
    else {
      waiting.set(seed, [...(waiting.get(seed) || []), canvas]);
      queueMicrotask(fetchFaces);
    }
    return canvas;
  }

  async function fetchFaces() {
    if (fetching) return;
    fetching = true;
    try {
      while (waiting.size) {
        const seeds = [...waiting.keys()].slice(0, MOST), at = facesAt, { truncation, label } = at;
        const made = await paint(seeds.map((seed) => ({ a: [seed], truncation, label })));
        if (at !== facesAt) continue; // they changed in the meantime
        seeds.forEach((seed, place) => {
          faces.set(seed, made[place]);
          for (const canvas of waiting.get(seed)) draw(canvas, made[place]);
          waiting.delete(seed);
        });
      }
    } catch (error) {
      waiting.clear();
      showError(error.message);
    }
    fetching = false;
  }

  function updateFaces() {
    if (facesAt.truncation === recipe.truncation && facesAt.label === recipe.label) return;
    facesAt = recipe;
    faces = new Map();
    for (const button of $("wall").children) button.replaceChild(face(Number(button.dataset.seed)), button.querySelector("canvas"));
  }

  // The image, then the means of the terms and the steps of the interpolation

  let wanted = false, painting = false, failed = false, aside = "";

  async function refresh() {
    wanted = true;
    if (painting) return;
    painting = true;
    while (wanted) {
      wanted = false;
      const now = recipe;
      try {
        if (DRAFTS) show(now, (await paint([now], true))[0], "draft");
        if (wanted) continue;
        show(now, (await paint([now]))[0], "exact");
        if (!wanted) await paintAside(now);
      } catch (error) {
        [failed, aside] = [true, ""];
        showError(error.message);
      }
    }
    painting = false;
  }

  function show(now, made, how) {
    draw($("face"), made);
    $("face").dataset.how = how;
    describe(now, made.norm);
    if (failed) showError("");
    failed = false;
  }

  async function paintAside(now) {
    const { way, ...rest } = now;
    const means = TERMS.filter(({ key }) => now[key].length > 1);
    const steps = isEmpty(now.d) ? [] : Array.from({ length: STEPS }, (_, step) => step / (STEPS - 1));
    const key = JSON.stringify(rest);
    if (key === aside) return;
    aside = key; // reset when the canvases are made again
    const recipes = [
      ...means.map((term) => ({ a: now[term.key], truncation: now.truncation, label: now.label })),
      ...steps.map((step) => ({ ...now, way: step })),
    ];
    for (let from = 0; from < recipes.length; from += MOST) {
      const made = await paint(recipes.slice(from, from + MOST));
      if (aside !== key) return;
      made.forEach((one, place) => {
        const number = from + place;
        const canvas = number < means.length ? $(`mean-${means[number].key}`) : $("strip").children[number - means.length].firstChild;
        if (canvas) draw(canvas, one);
      });
      const { way: _, ...next } = recipe;
      if (wanted && from + MOST < recipes.length && JSON.stringify(next) !== key) return; // another strip is due
    }
  }

  function describe(now, norm) {
    const root = Math.sqrt(normal);
    $("expression").textContent = captionOf(now);
    $("face").setAttribute("aria-label", `Generated image: ${captionOf(now)}`);
    $("norms").replaceChildren("‖z‖ ", el("b", {}, norm.toFixed(2)), `, √${normal} = ${root.toFixed(2)}`);
    $("norms").title = "Length of the latent. In training it is about the square root of the latent dimension.";
    $("norm").setAttribute("cx", Math.min(100 * norm / root, 195).toFixed(1));
  }

  // Where the next face goes

  let place = { key: "a", at: 0 }; // at the end of a term, the face is added

  function pick(seed, more = false) {
    const { key } = place, at = more ? recipe[key].length : Math.min(place.at, recipe[key].length);
    if (at >= data.picks) return showError(`A slot holds at most ${data.picks} images.`);
    const seeds = [...recipe[key]];
    seeds[at] = seed;
    place = { key, at: at === recipe[key].length && at > 0 ? at + 1 : at };
    commit(change({ [key]: seeds }));
    announce(`seed ${seed} in ${key.toUpperCase()}: ${inWords(recipe)}`);
  }

  function removeSeed(key, at) {
    place = { key, at };
    commit(change({ [key]: recipe[key].filter((_, number) => number !== at) }));
    announce(`removed: ${inWords(recipe)}`);
  }
  const focusPlace = () => { const node = document.querySelector(".slot[aria-pressed=true]"); if (node) node.focus(); };

  function selectSlot(key, at) {
    place = { key, at };
    drawTerms();
    refresh();
  }

  function drawTerms() {
    const within = $("terms").contains(document.activeElement);
    place = { key: place.key, at: Math.min(place.at, recipe[place.key].length) };
    $("terms").replaceChildren(...TERMS.map(({ key, sign, name, words }) => {
      const seeds = recipe[key];
      const slot = (at, label, content, extra) => el("button", {
        type: "button", class: `slot ${extra}`, "aria-pressed": String(place.key === key && place.at === at), "aria-label": label,
        title: label, onclick: () => selectSlot(key, at),
        onkeydown: (event) => { if ((event.key === "Delete" || event.key === "Backspace") && at < seeds.length) removeSeed(key, at); },
      }, content);
      return el("div", { class: isEmpty(seeds) ? "term empty" : "term", role: "group", "aria-label": `${name}, ${words}` },
        el("p", { class: "name" }, sign ? el("span", { class: "sign", "aria-hidden": "true" }, sign) : null, el("b", {}, name), ` ${words}`),
        el("div", { class: "slots" },
          seeds.map((seed, at) => el("div", { class: "held" },
            slot(at, `seed ${seed} in ${name}; the next image replaces it`, [face(seed), el("span", {}, String(seed))], ""),
            el("button", { type: "button", class: "drop", "aria-label": `Remove seed ${seed} from ${name}`, title: "Remove", onclick: () => removeSeed(key, at) }, "×"))),
          slot(seeds.length, isEmpty(seeds) ? `${name}: ${words} the next image` : `${name}: add an image to the average`, "+", "add"),
          seeds.length > 1 ? el("figure", { class: "mean" }, blank({ id: `mean-${key}`, role: "img", "aria-label": `Average of ${name}` }), el("figcaption", {}, "mean")) : null));
    }));
    $("walk").hidden = isEmpty(recipe.d);
    aside = "";
    if (within) focusPlace();
  }

  function markUsed() { // marks the faces of the wall that are in use
    const used = new Map();
    for (const { key, sign, name } of TERMS) for (const seed of recipe[key]) used.set(seed, [...(used.get(seed) || []), sign === "→" || !sign ? name : `${sign}${name}`]);
    for (const button of $("wall").children) {
      const where = used.get(Number(button.dataset.seed));
      button.setAttribute("aria-pressed", String(Boolean(where)));
      button.setAttribute("aria-label", `seed ${button.dataset.seed}${where ? `, in ${where.join(" and ")}` : ""}`);
      button.dataset.used = where ? [...new Set(where)].join(" ") : "";
    }
  }

  // The wall

  function addFaces(count) {
    const first = $("wall").children.length;
    $("wall").append(...Array.from({ length: count }, (_, number) => {
      const seed = first + number;
      return el("button", { type: "button", "data-seed": String(seed), tabindex: seed ? "-1" : "0", onclick: (event) => pick(seed, event.shiftKey) },
        face(seed), el("span", { "aria-hidden": "true" }, String(seed)));
    }));
    markUsed();
    $("more").disabled = $("wall").children.length >= FACES;
  }

  function alongWall(event) { // the wall is one Tab stop; arrow keys move within it
    const all = [...$("wall").children], at = all.indexOf(event.target.closest("button"));
    const columns = all.filter((one) => one.offsetTop === all[0].offsetTop).length;
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, ArrowUp: at - columns, ArrowDown: at + columns, Home: 0, End: all.length - 1 }[event.key];
    if (to === undefined || at < 0) return;
    event.preventDefault();
    if (to >= 0 && to < all.length) all[to].focus();
  }

  // Sliders

  function follow(input, amount, text) { // updates a slider and its text
    input.value = String(amount);
    input.setAttribute("aria-valuetext", text);
    input.nextElementSibling.textContent = text;
  }
  const signed = (amount) => (amount > 0 ? "+" : amount < 0 ? "−" : "") + Math.abs(amount).toFixed(2);

  function bindSlider(input, parts) { // parts: function from the slider's number to the changes of the recipe
    input.addEventListener("input", () => { recipe = change(parts(Number(input.value))); updateSliders(); refresh(); });
    input.addEventListener("change", () => commit(recipe));
  }

  function withAlong(name, amount) {
    const { [name]: _, ...others } = recipe.along;
    return { along: amount ? { ...others, [name]: amount } : others };
  }

  const alongSliders = new Map(); // name: its slider

  function addDirections() {
    if (isEmpty(data.directions)) {
      $("along").append(el("p", { class: "note" }, "There are no directions for this generator yet. Find them with ", el("code", {}, data.hint), ", then open this page again."));
      return;
    }
    $("level").hidden = false;
    $("along").append(el("p", { class: "soft" }, "Drag to move the image along a direction; double-click resets."));
    Object.entries(KINDS).forEach(([kind, words], number) => {
      const listed = data.directions.filter((one) => one.kind === kind);
      if (isEmpty(listed)) return;
      const first = data.directions.every((one) => Object.keys(KINDS).indexOf(one.kind) >= number);
      $("along").append(el("details", { open: first }, el("summary", {}, `${words} (${listed.length})`),
        el("div", { class: "sliders many" }, listed.map(({ name }, at) => {
          const id = `along-${kind}-${at}`;
          const input = el("input", { type: "range", id, min: "-1", max: "1", step: "0.01", "data-name": name });
          bindSlider(input, (amount) => withAlong(name, amount));
          input.addEventListener("dblclick", () => commit(change(withAlong(name, 0))));
          alongSliders.set(name, input);
          return el("div", {}, el("label", { for: id }, name.replaceAll("_", " ")), input, el("output", { for: id }));
        }))));
    });
  }

  function updateSliders() {
    follow($("truncation"), recipe.truncation, recipe.truncation.toFixed(2));
    follow($("way"), recipe.way, `${Math.round(100 * recipe.way)}%`);
    const amounts = new Map(Object.entries(recipe.along)); // a Map, because a name may be that of a method
    for (const [name, input] of alongSliders) follow(input, amounts.get(name) || 0, signed(amounts.get(name) || 0));
    for (const button of $("strip").children) button.setAttribute("aria-pressed", String(Number(button.value) === recipe.way));
  }

  // Labels: a row of choices for the class, or one for each attribute

  function choose(place, value) { // value: "" is as the seeds have it, a class, or 0 or 1
    const { names, classes } = data.labels, given = readLabel(recipe.label, data.labels);
    const parts = names.map((name, k) => [name, k === place ? value : given[k] ?? ""]).filter(([, bit]) => bit !== "");
    commit(change({ label: classes ? value : parts.map((part) => part.join("=")).join() }));
    announce(captionOf(recipe));
  }

  function addLabels() {
    const { names, classes } = data.labels, seeds = ["", "as the seed"];
    const rows = classes ? [["Class", [seeds, ...names.map((name) => [name, name])]]] : names.map((name) => [name, [seeds, ["0", "no"], ["1", "yes"]]]);
    $("labels").hidden = false;
    $("labels").append(...rows.map(([title, choices], place) => el("fieldset", { class: "choices" }, el("legend", {}, title.replaceAll("_", " ")),
      choices.map(([value, text]) => el("label", {}, el("input", { type: "radio", name: `label-${place}`, value, onchange: () => choose(place, value) }), el("span", {}, text))))));
  }

  function updateLabels() {
    if (!data.labels) return;
    const given = readLabel(recipe.label, data.labels);
    for (const input of $("labels").querySelectorAll("input")) {
      const chosen = data.labels.classes ? recipe.label : String(given[Number(input.name.slice(6))] ?? "");
      input.checked = input.value === chosen;
    }
  }

  // Undo, and the address

  let settled = toLink(START), past = [], future = [];

  function commit(next) {
    showError("");
    refused = false;
    recipe = next;
    const now = toLink(recipe);
    if (now !== settled) {
      past.push(settled);
      [settled, future] = [now, []];
    }
    update();
  }

  function update() {
    updateFaces();
    drawTerms();
    markUsed();
    updateSliders();
    updateLabels();
    $("undo").disabled = isEmpty(past);
    $("redo").disabled = isEmpty(future);
    toAddress();
    refresh();
  }

  function back(from, to) {
    if (isEmpty(from)) return;
    forgetRefused();
    to.push(settled);
    settled = from.pop();
    recipe = fromLink(settled);
    update();
    announce(inWords(recipe));
  }
  const undo = () => back(past, future), redo = () => back(future, past);

  let later = 0, refused = false; // whether the address holds a link that cannot be shown here
  function toAddress() { // a moment later, because browsers limit such changes
    clearTimeout(later);
    if (refused) return;
    later = setTimeout(() => {
      try {
        history.replaceState(null, "", `#${settled}`);
      } catch { /* some browsers refuse this for a page from disk */ }
    }, 200);
  }

  function forgetRefused() {
    if (!refused) return;
    refused = false;
    showError("");
  }

  function fromAddress() {
    forgetRefused();
    const text = location.hash.slice(1);
    if (text && $(text)) return toAddress(); // a part of this page: the recipe comes back
    if (!text || text === settled) return;
    try {
      commit(fromLink(text));
    } catch (error) {
      refused = true; // so that the link can still be copied from the address
      showError(`This link cannot be shown: ${error.message}.`);
    }
  }

  let copied = 0;
  function copyLink() {
    const address = `${location.href.split("#")[0]}#${settled}`;
    const done = () => {
      announce(`Link copied. ${LINKS}`);
      $("copied").textContent = LINKS;
      $("link").textContent = "Copied";
      clearTimeout(copied);
      copied = setTimeout(() => { $("link").textContent = "Copy link"; $("copied").textContent = ""; }, LINKS ? 10000 : 1500);
    };
    const byHand = () => { location.hash = settled; showError(`Copying failed; the link is in the address bar. ${LINKS}`); };
    if (navigator.clipboard) navigator.clipboard.writeText(address).then(done, byHand);
    else byHand();
  }

  async function save() {
    const of = recipe, seed = singleSeed(of);
    const texts = { model_sha256: data.sha256, truncation: String(of.truncation) };
    if (Number.isInteger(of.truncation)) texts.truncation += ".0"; // as generate.py writes it
    if (seed !== null) texts.seed = String(seed);
    if (labelOf(of)) texts.label = labelOf(of);
    if (usesDirections(of)) texts.directions_sha256 = data.directions_sha256;
    const [made] = await paint([of]);
    const file = await toPng({ ...data, ...made }, { ...texts, expression: inWords(of), link: `#${toLink(of)}` });
    const address = URL.createObjectURL(file);
    el("a", { href: address, download: seed === null ? "explored.png" : `seed_${String(seed).padStart(6, "0")}.png` }).click();
    setTimeout(() => URL.revokeObjectURL(address), 10000);
    announce("saved");
  }

  const random = () => pick(Math.floor(Math.random() * (SEED + 1)));

  function onKey(event) {
    if (event.key.toLowerCase() === "r" && event.target !== $("seed") && !event.ctrlKey && !event.metaKey && !event.altKey) return random();
    if (!(event.ctrlKey || event.metaKey) || event.altKey || event.target === $("seed")) return;
    const key = event.key.toLowerCase();
    if (key !== "z" && key !== "y") return;
    event.preventDefault();
    if (key === "y" || event.shiftKey) redo(); else undo();
  }

  // Everything

  $("title").textContent = data.name;
  $("facts").append(...[
    ["images", `${data.height} × ${data.width}`], ["latent", `${normal} numbers`], ...(data.labels ? [["labels", String(data.labels.names.length)]] : []), ["weights", short(data.sha256)],
  ].map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
  $("footer").textContent = `dcgan_tf ${data.version}. Every image here is generated; none is a photograph. ${data.license}`;
  Object.assign($("face"), { width: data.width, height: data.height });
  $("strip").append(...Array.from({ length: STEPS }, (_, step) => {
    const way = step / (STEPS - 1);
    return el("button", { type: "button", value: String(way), "aria-label": `${Math.round(100 * way)}% of the interpolation`, onclick: () => commit(change({ way })) }, blank());
  }));
  if (data.labels) addLabels();
  addDirections();
  bindSlider($("truncation"), (truncation) => ({ truncation }));
  bindSlider($("way"), (way) => ({ way }));
  $("wall").addEventListener("keydown", alongWall);
  $("wall").addEventListener("focusin", (event) => {
    for (const button of $("wall").querySelectorAll("[tabindex='0']")) button.tabIndex = -1;
    event.target.tabIndex = 0;
  });
  $("typed").addEventListener("submit", (event) => {
    event.preventDefault();
    const seed = seedOf($("seed").value);
    if (seed === null) return showError(`Expected a seed from 0 to ${SEED}.`);
    pick(seed);
  });
  $("random").addEventListener("click", random);
  $("more").addEventListener("click", () => addFaces(PAGE));
  $("undo").addEventListener("click", undo);
  $("redo").addEventListener("click", redo);
  $("clear").addEventListener("click", () => { place = { key: "a", at: 0 }; commit(START); });
  $("level").addEventListener("click", () => commit(change({ along: {} })));
  $("link").addEventListener("click", copyLink);
  $("save").addEventListener("click", () => save().catch((error) => showError(error.message)));
  addEventListener("keydown", onKey);
  addEventListener("hashchange", fromAddress);
  fromAddress();
  past = []; // undo stops at the opened image
  update();
  addFaces(PAGE);
})();
