// Markdown as a person asked to see it, by two libraries that are fetched only then. What comes out is plain marks:
// no pictures, no styles, no scripts, nothing that asks another host for anything.

const MARKED = "../../vendor/marked@18.2.1/lib/marked.esm.js";
const PURIFY = "../../vendor/dompurify@3.4.18/dist/purify.es.mjs";
const MAX_CHARACTERS = 200_000;
const TAGS = [
  "p",
  "br",
  "hr",
  "h1",
  "h2",
  "h3",
  "h4",
  "h5",
  "h6",
  "ul",
  "ol",
  "li",
  "blockquote",
  "pre",
  "code",
  "em",
  "strong",
  "del",
  "a",
  "table",
  "thead",
  "tbody",
  "tr",
  "th",
  "td",
];

/** @typedef {(text: string) => any} Render gives DOMPurify's TrustedHTML */
/** @type {Promise<boolean> | undefined} */
let there;
/** @type {Promise<Render> | undefined} */
let renderer;

/** Whether set-up fetched the libraries; asked once. */
export function markdownIsThere() {
  there ??= Promise.all(
    [MARKED, PURIFY].map((path) => fetch(new URL(path, import.meta.url), { method: "HEAD" })),
  )
    .then((answers) => answers.every(({ ok }) => ok))
    .catch(() => false);
  return there;
}

/** Fills `place` with the rendered text.
 * @param {HTMLElement} place @param {string} text */
export async function showMarkdown(place, text) {
  renderer ??= createRenderer().catch((error) => {
    renderer = undefined;
    throw error;
  });
  const render = await renderer;
  place.innerHTML = render(text.slice(0, MAX_CHARACTERS)); // TrustedHTML: the policy lets nothing else pass
}

/** @returns {Promise<Render>} */
async function createRenderer() {
  const [{ Marked }, { default: purify }] = await Promise.all([import(MARKED), import(PURIFY)]);
  const marked = new Marked({ gfm: true, breaks: true, renderer: { html: asWords, image: asWords } });
  purify.addHook("afterSanitizeAttributes", keepPlainLinks);
  return (text) =>
    purify.sanitize(marked.parse(text, { async: false }), {
      ALLOWED_TAGS: TAGS,
      ALLOWED_ATTR: ["href", "start"],
      ALLOW_DATA_ATTR: false,
      ALLOW_ARIA_ATTR: false,
      RETURN_TRUSTED_TYPE: true,
    });
}

/**
 * Markup and pictures inside the text are shown as they were written, so that they never reach a parser as
 * what they are.
 * @param {{ raw: string }} token */
function asWords({ raw }) {
  return raw.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);
}

/** A link leads to the web and tells nobody where it was; any other stays as its words.
 * @param {Element} node */
function keepPlainLinks(node) {
  if (node.tagName !== "A") return;
  if (!/^https?:\/\//i.test(node.getAttribute("href") ?? "")) node.removeAttribute("href");
  else {
    node.setAttribute("target", "_blank");
    node.setAttribute("rel", "noopener noreferrer");
  }
}
