// The gallery of cells: shows the families and rows that hold what is typed, or the family that is chosen.
// `data-words` is searched too: the whole source of a cell.
document.addEventListener("DOMContentLoaded", () => {
  const families = [...document.querySelectorAll("article section section")].filter((each) => each.querySelector("table"));
  if (!families.length) return;
  const box = document.createElement("form");
  box.className = "cell-filter";
  box.setAttribute("role", "search");
  box.innerHTML =
    '<label>Find <input type="search" class="form-control" placeholder="name, author, state, word"></label>' +
    '<label>Family <select class="form-select"><option value="">all</option></select></label>' +
    '<output aria-live="polite"></output>';
  const [text, kind, count] = [box.querySelector("input"), box.querySelector("select"), box.querySelector("output")];
  const titles = families.map((each) => each.querySelector("h2").firstChild.textContent.trim());
  titles.forEach((title, k) => kind.add(new Option(title, k)));
  const show = () => {
    const words = text.value.toLowerCase().split(/\s+/).filter(Boolean);
    let found = 0;
    families.forEach((family, k) => {
      let inside = 0;
      for (const row of family.querySelectorAll("tbody tr")) {
        const more = row.querySelector("[data-words]").dataset.words;
        const all = `${row.textContent} ${more} ${titles[k]}`.toLowerCase();
        row.hidden = (kind.value && kind.value !== String(k)) || !words.every((word) => all.includes(word));
        inside += !row.hidden;
      }
      family.hidden = !inside;
      found += inside;
    });
    count.value = found === 1 ? "1 cell" : `${found} cells`;
  };
  box.addEventListener("input", show);
  box.addEventListener("submit", (event) => event.preventDefault());
  families[0].before(box);
  show();
});
