// Files dropped on the page. The whole page takes one: a near miss must not open it in the browser instead.

/** @param {HTMLElement} zone @param {(file: File) => void} choose */
export function listenForDrops(zone, choose) {
  addEventListener("dragover", (event) => {
    event.preventDefault();
    zone.classList.add("over");
  });
  addEventListener("dragleave", (event) => !event.relatedTarget && zone.classList.remove("over"));
  addEventListener("drop", (event) => {
    event.preventDefault();
    zone.classList.remove("over");
    const dropped = event.dataTransfer?.files[0];
    if (dropped) choose(dropped);
  });
}
