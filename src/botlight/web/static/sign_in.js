/** The sign-in page: name and password, to the board when they are right. */

import { HOME, pageApi } from "./account.js";

const WRONG = "That name and password do not fit together.";

const form = document.getElementById("sign-in");
const said = document.getElementById("said");
const api = pageApi();

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector("button");
  button.disabled = true;
  said.textContent = "";
  try {
    await api.post("sign-in", Object.fromEntries(new FormData(form)));
    location.assign(HOME);
  } catch (error) {
    said.textContent = error.status === 401 ? WRONG : error.message;
    button.disabled = false;
    form.elements.password.select();
  }
});
