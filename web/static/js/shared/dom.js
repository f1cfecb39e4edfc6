// The few ways the pages touch the document, the icons among them. Data only ever becomes text or an
// attribute, never markup.

/** @param {string} id @returns {any} the element, which every page that asks for it has */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`no element #${id} on this page`);
  return found;
}

/** Creates an element; null children are left out, text is text.
 * @param {string} tag
 * @param {Record<string, string | boolean | null>} [attributes]
 * @param {...(Node | string | null | false)} children
 * @returns {any} */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) setAttribute(node, name, value);
  node.append(
    .../** @type {(Node | string)[]} */ (children.filter((child) => child !== null && child !== false)),
  );
  return node;
}

/** Touches the document only when something changed, so that selection and focus stay.
 * @param {Element} node @param {string} text */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** @param {Element} node @param {string} name @param {string | boolean | null} value null or false removes it */
export function setAttribute(node, name, value) {
  if (value === null || value === false) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value === true ? "" : value)) {
    node.setAttribute(name, value === true ? "" : value);
  }
}

/** @param {HTMLElement} node @param {boolean} shown */
export function show(node, shown) {
  if (node.hidden === shown) node.hidden = !shown;
}

/** The parts of a piece of markup, by their data-f names.
 * @param {Element} root @returns {Record<string, any>} */
export function parts(root) {
  return Object.fromEntries(
    [...root.querySelectorAll("[data-f]")].map((node) => [/** @type {any} */ (node).dataset.f, node]),
  );
}

/** A copy of the one element in a template, with its icons.
 * @param {string} templateId @returns {any} */
export function copyOf(templateId) {
  const node = /** @type {Element} */ (byId(templateId).content.firstElementChild).cloneNode(true);
  placeIcons(/** @type {Element} */ (node));
  return node;
}

/** Fills every <span data-icon="name"> below root.
 * @param {ParentNode} root */
export function placeIcons(root) {
  for (const place of root.querySelectorAll("[data-icon]")) {
    place.replaceWith(icon(/** @type {HTMLElement} */ (place).dataset.icon ?? ""));
  }
}

/** Shows a state as icon, word and colour.
 * @param {HTMLElement} node @param {{ word: string, tone: string, icon: string } | null} state */
export function setState(node, state) {
  show(node, state !== null);
  if (!state) return;
  const look = `${state.tone} ${state.icon} ${state.word}`;
  if (node.dataset.look === look) return;
  node.dataset.look = look;
  node.className = `state ${state.tone}`;
  node.replaceChildren(icon(state.icon), state.word);
}

/** @typedef {{ node: HTMLElement, update: (item: any) => void }} View */
/** @type {WeakMap<Element, Map<string, View>>} */
const views = new WeakMap();

/**
 * Makes the children of `parent` mirror `items`: a view is created once per key, then only updated, and moved only
 * when the order changed. So focus, scroll and text selection survive a refresh, a new order included.
 * @template T
 * @param {HTMLElement} parent @param {T[]} items @param {(item: T) => string} keyOf @param {(item: T) => View} create
 */
export function reconcile(parent, items, keyOf, create) {
  const old = views.get(parent) ?? new Map();
  /** @type {Map<string, View>} */
  const kept = new Map();
  for (const item of items) {
    const key = keyOf(item);
    const view = old.get(key) ?? create(item);
    view.update(item);
    kept.set(key, view);
  }
  for (const [key, view] of old) if (!kept.has(key)) removeKeepingFocus(parent, view.node);
  let place = parent.firstElementChild;
  for (const { node } of kept.values()) {
    if (node === place) place = place.nextElementSibling;
    else move(parent, node, place);
  }
  views.set(parent, kept);
}

/** To be taken out of the document and put back would cost a node its focus.
 * @param {HTMLElement} parent @param {HTMLElement} node @param {Element | null} before */
function move(parent, node, before) {
  const focused = node.contains(document.activeElement)
    ? /** @type {HTMLElement} */ (document.activeElement)
    : null;
  parent.insertBefore(node, before);
  if (focused !== document.activeElement) focused?.focus({ preventScroll: true });
}

/** @param {HTMLElement} parent @param {HTMLElement} node */
function removeKeepingFocus(parent, node) {
  const hadFocus = node.contains(document.activeElement);
  node.remove();
  if (hadFocus)
    /** @type {HTMLElement | null} */ (parent.closest("[tabindex]"))?.focus({ preventScroll: true });
}

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
