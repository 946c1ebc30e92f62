/** Makes and updates elements out of text. There is no way here to give any of them HTML. */

/** A new element with attributes (undefined and false ones left out) and children (elements or text). */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) setAttribute(made, name, value);
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** Sets an attribute, or removes it for undefined, null and false. Touches nothing that is so already. */
export function setAttribute(target, name, value) {
  if (value === undefined || value === null || value === false) target.removeAttribute(name);
  else if (target.getAttribute(name) !== String(value)) target.setAttribute(name, value === true ? "" : value);
}

/** Sets the text and hides the element when there is none. Touches nothing that is so already. */
export function setText(target, text) {
  const words = text === undefined || text === null ? "" : String(text);
  if (target.textContent !== words) target.textContent = words;
  if (target.hidden !== (words === "")) target.hidden = words === "";
}

/** The address if it leads to the web, else null: what a bot names may be anything, `javascript:` too. */
export function webAddress(address) {
  try {
    const url = new URL(address);
    return url.protocol === "https:" || url.protocol === "http:" ? url.href : null;
  } catch {
    return null;
  }
}
