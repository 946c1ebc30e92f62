/** What every page of a signed-in person has: the service's doors, the way out, and where to go when signed out. */

import { Api } from "./api.js";

/** The address of the service, with its path prefix: where this module came from says it. */
export const HOME = new URL("../", import.meta.url);

/** The doors, with the CSRF token that the page came with. */
export function pageApi() {
  return new Api(HOME.href, null, () => {}, document.documentElement.dataset.csrf ?? null);
}

/** Wires the button that ends the sign-in. */
export function wireSignOut(api) {
  const button = document.getElementById("sign-out");
  button?.addEventListener("click", async () => {
    button.disabled = true;
    await api.post("sign-out").catch(() => {});
    goToSignIn();
  });
}

/** Whether this page has said that nobody is signed in. */
let out = false;

/**
 * Says that nobody is signed in, and offers the sign-in in place of the sign-out; returns whether that is so. Once
 * somebody is signed in again, perhaps somebody else, the page begins anew.
 */
export function showSignedOut(kind) {
  if (out && ["live", "polling"].includes(kind)) location.reload();
  const now = kind === "signed_out";
  if (now && !out) {
    out = true;
    document.documentElement.dataset.signedOut = "";
    document.getElementById("signed-out").hidden = false;
    document.title = "Signed out · Botlight";
  }
  return out;
}

/** Leaves for the sign-in page. */
export function goToSignIn() {
  location.assign(new URL("sign-in", HOME));
}

/** Puts a text on the clipboard and says so in `said`. */
export async function copy(text, said) {
  try {
    await navigator.clipboard.writeText(text);
    said.textContent = "Copied.";
  } catch {
    said.textContent = "This browser does not let a page copy here: select the text and copy it.";
  }
}
