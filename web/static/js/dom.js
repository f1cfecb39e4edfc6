// The few ways the pages touch the document. Data only ever becomes text or an attribute, never markup.

import { icon } from "./icons.js";

/** @param {string} id @returns {any} the element, which every page that asks for it has */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`no element #${id} on this page`);
  return found;
}

/** Creates an element; null children are left out, text is text.
 * @param {string} tag @param {Record<string, string | boolean | null>} [attributes] @param {...(Node | string | null | false)} children
 * @returns {any} */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) setAttribute(node, name, value);
  node.append(.../** @type {(Node | string)[]} */ (children.filter((child) => child !== null && child !== false)));
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
  return Object.fromEntries([...root.querySelectorAll("[data-f]")].map((node) => [/** @type {any} */ (node).dataset.f, node]));
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
export function mirror(parent, items, keyOf, create) {
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
  const focused = node.contains(document.activeElement) ? /** @type {HTMLElement} */ (document.activeElement) : null;
  parent.insertBefore(node, before);
  if (focused !== document.activeElement) focused?.focus({ preventScroll: true });
}

/** @param {HTMLElement} parent @param {HTMLElement} node */
function removeKeepingFocus(parent, node) {
  const hadFocus = node.contains(document.activeElement);
  node.remove();
  if (hadFocus) /** @type {HTMLElement | null} */ (parent.closest("[tabindex]"))?.focus({ preventScroll: true });
}
