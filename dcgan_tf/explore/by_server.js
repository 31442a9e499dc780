// Pictures from the server that sent this page.

const MOST = 32; // recipes of one call
const DRAFTS = true; // a draft comes sooner, and may differ by a grey level
// How long its links work, for whoever copies one: port and token of the address are new each time.
const LINKS = "The link works on this machine, as long as the program runs that sent this page; its end, from # on, works behind a later address too.";

// data: what the page knows of the generator. The function takes recipes and promises, of each,
// {pixels: Uint8Array of height x width x channels, norm}.
function painter({ height, width, channels }) {
  return async (recipes, draft = false) => {
    const answer = await fetch(draft ? "drafts" : "pictures", {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(recipes),
    }).catch(() => { throw new Error("No answer: the program that sent this page has ended. Start it again."); });
    if (!answer.ok) throw new Error((await answer.text()).trim());
    const norms = answer.headers.get("X-Norms").split(",").map(Number);
    const all = new Uint8Array(await answer.arrayBuffer());
    const size = height * width * channels;
    return recipes.map((_, place) => ({ pixels: all.subarray(place * size, (place + 1) * size), norm: norms[place] }));
  };
}
