// The icons, drawn on a 16 × 16 grid with a stroke in the text's colour; a shape of one path each.

const SVG = "http://www.w3.org/2000/svg";

/** @type {Record<string, string>} */
const PATHS = {
  check: "M3 8.5l3.2 3.2L13 4.8",
  cross: "M4 4l8 8M12 4l-8 8",
  dot: "M8 5.8a2.2 2.2 0 1 0 0 4.4a2.2 2.2 0 1 0 0-4.4M8 8h.01",
  dots: "M3.5 8h.01M8 8h.01M12.5 8h.01",
  clock: "M8 2a6 6 0 1 0 0 12a6 6 0 1 0 0-12M8 4.8V8l2.2 1.6",
  ban: "M8 2a6 6 0 1 0 0 12a6 6 0 1 0 0-12M3.8 3.8l8.4 8.4",
  warning: "M8 2.4L14.4 13.4H1.6zM8 6.4v3.2M8 11.6v.01",
  info: "M8 2a6 6 0 1 0 0 12a6 6 0 1 0 0-12M8 7.4v3.6M8 5v.01",
  download: "M8 2v8M4.6 7L8 10.4L11.4 7M2.5 13.5h11",
  retry: "M13 8a5 5 0 1 1-1.5-3.6M13 2v3.2H9.8",
  plus: "M8 3v10M3 8h10",
  upload: "M8 10.5V2.5M4.6 5.6L8 2.2l3.4 3.4M2.5 10.5v3h11v-3",
  file: "M4 1.8h5.2L12.4 5v9.2H4zM9 2v3.2h3.2",
  inbox: "M1.8 9.2L4 3.2h8l2.2 6v3.6H1.8zM1.8 9.2h3.6c0 3 5.2 3 5.2 0h3.6",
  search: "M7 2.5a4.5 4.5 0 1 0 0 9a4.5 4.5 0 1 0 0-9M10.3 10.3L14 14",
  chip: "M4.5 4.5h7v7h-7zM6.5 2v2.5M9.5 2v2.5M6.5 11.5V14M9.5 11.5V14M2 6.5h2.5M2 9.5h2.5M11.5 6.5H14M11.5 9.5H14",
  sun: "M8 5.2a2.8 2.8 0 1 0 0 5.6a2.8 2.8 0 1 0 0-5.6M8 1.4v1.4M8 13.2v1.4M1.4 8h1.4M13.2 8h1.4M3.3 3.3l1 1M11.7 11.7l1 1M3.3 12.7l1-1M11.7 4.3l1-1",
  moon: "M13.2 9.6A5.6 5.6 0 0 1 6.4 2.8a5.6 5.6 0 1 0 6.8 6.8z",
  half: "M8 2a6 6 0 1 0 0 12a6 6 0 1 0 0-12M8 2v12M8 5l4.8-1M8 8h6M8 11l4.8 1",
  swap: "M2.5 5.5h10M9.8 2.8l2.7 2.7l-2.7 2.7M13.5 10.5h-10M6.2 7.8l-2.7 2.7l2.7 2.7",
  back: "M10 3L5 8l5 5",
  forward: "M6 3l5 5l-5 5",
  help: "M8 2a6 6 0 1 0 0 12a6 6 0 1 0 0-12M6.2 6.3a1.8 1.8 0 1 1 2.6 1.7c-.6.3-.8.6-.8 1.2M8 11.3v.01",
  down: "M3.5 6L8 10.5L12.5 6",
  copy: "M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3",
  link: "M6.4 9.6l3.2-3.2M7 4.4l1.5-1.5a3.2 3.2 0 0 1 4.6 4.6L11.6 9M9 11.6l-1.5 1.5a3.2 3.2 0 0 1-4.6-4.6L4.4 7",
  key: "M5.2 7.2a3 3 0 1 0 0 6a3 3 0 1 0 0-6M7.4 8.2L13.6 2M11 4.6l2 2",
};

/** @param {string} name @returns {SVGElement} decorative: the word beside it says the same */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", PATHS[name] ?? PATHS.info);
  svg.append(path);
  return svg;
}
