// Pictures from the server that sent this page.

// data: what the page knows of the generator. The function takes recipes and promises, of each,
// {pixels: Uint8Array of height x width x channels, norm}.
const MOST = 32; // recipes of one call
function painter({ height, width, channels }) {
  return async (recipes) => {
    const answer = await fetch("pictures", {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(recipes),
    }).catch(() => { throw new Error("No answer: the program that sent this page has ended. Start it again."); });
    if (!answer.ok) throw new Error((await answer.text()).trim());
    const norms = answer.headers.get("X-Norms").split(",").map(Number);
    const all = new Uint8Array(await answer.arrayBuffer());
    const size = height * width * channels;
    return recipes.map((_, place) => ({ pixels: all.subarray(place * size, (place + 1) * size), norm: norms[place] }));
  };
}
