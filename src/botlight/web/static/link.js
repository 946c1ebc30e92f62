/**
 * The one-time link's page. The secret is in the fragment, so it reaches no log on its way here; only pressing the
 * button uses it up, since a chat or mail program opens links by itself to look at them.
 */

import { HOME, pageApi } from "./account.js";

const SPENT = "This link was used or is older than 10 minutes. On the computer that runs Botlight, botlight link prints a new one.";

const button = document.getElementById("use-link");
const said = document.getElementById("said");
const api = pageApi();
const secret = decodeURIComponent(location.hash.slice(1));

// Out of the address bar and the history.
if (secret) history.replaceState(null, "", location.pathname);
else {
  said.textContent = "This address lacks the secret of a link: open the link as it was printed.";
  button.hidden = true;
}

button.addEventListener("click", async () => {
  button.disabled = true;
  said.textContent = "";
  try {
    await api.post("link", { secret });
    location.assign(HOME);
  } catch (error) {
    said.textContent = error.status === 401 ? SPENT : error.message;
    button.disabled = false;
    // A link that is used up leaves nothing to press.
    button.hidden = error.status === 401;
  }
});
