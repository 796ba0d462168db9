// The one way this page makes elements: text goes in as text, so that no data can become markup.

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Partial<HTMLElementTagNameMap[Tag]>} [properties]
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

/**
 * @param {string} id of an element that index.html holds
 * @returns {HTMLElement}
 */
export function byId(id) {
  return /** @type {HTMLElement} */ (document.getElementById(id));
}

/**
 * An image the server may not have: a neutral note stands in for it.
 * @param {string} imageId
 * @param {"label" | "thumbnail" | "macro"} kind
 * @param {string} alt
 * @returns {HTMLElement}
 */
export function slideImage(imageId, kind, alt) {
  const img = element("img", { alt, loading: "lazy", decoding: "async", src: imageUrl(imageId, kind) });
  img.addEventListener("error", () => img.replaceWith(element("span", { className: "absent" }, `no ${kind}`)));
  return img;
}

/**
 * @param {string} imageId
 * @param {string} kind
 */
export function imageUrl(imageId, kind) {
  return `/DeepZoom/${encodeURIComponent(imageId)}_files/${kind}.jpeg`;
}
