// Sizes that only the running page knows, as rules of a style sheet of its own: the policy forbids style attributes.

const sheet = new CSSStyleSheet();
document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
/** @type {Map<string, CSSStyleRule>} */
const rules = new Map();

/** @param {string} selector @param {Record<string, number>} lengths property → pixels */
export function setLengths(selector, lengths) {
  const rule = rules.get(selector) ?? newRule(selector);
  for (const [name, pixels] of Object.entries(lengths)) {
    const value = `${pixels}px`;
    if (rule.style.getPropertyValue(name) !== value) rule.style.setProperty(name, value);
  }
}

/** @param {string} selector */
function newRule(selector) {
  const rule = /** @type {CSSStyleRule} */ (sheet.cssRules[sheet.insertRule(`${selector} {}`, sheet.cssRules.length)]);
  rules.set(selector, rule);
  return rule;
}
