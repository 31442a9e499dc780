// Images from the server that sent this page.

const MOST = 32; // recipes per call
const DRAFTS = true; // a draft is faster and may differ by one gray level
// Shown after a link is copied, because port and token of the address change with each start.
const LINKS = "The link works on this machine until the explorer stops. After a restart, append the part from # on to the new address.";

// data: from page.py. The returned function takes recipes and resolves to {pixels, norm} for each, where
// pixels is a Uint8Array of height x width x channels.
function painter({ height, width, channels }) {
  return async (recipes, draft = false) => {
    const answer = await fetch(draft ? "drafts" : "images", {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(recipes),
    }).catch(() => { throw new Error("No answer: the explorer has stopped. Start it again."); });
    if (!answer.ok) throw new Error((await answer.text()).trim());
    const norms = answer.headers.get("X-Norms").split(",").map(Number);
    const all = new Uint8Array(await answer.arrayBuffer());
    const size = height * width * channels;
    return recipes.map((_, place) => ({ pixels: all.subarray(place * size, (place + 1) * size), norm: norms[place] }));
  };
}
