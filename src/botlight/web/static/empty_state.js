/** The empty board: the lines that make a bot appear here, with the right address, and a token on request. */

import { copy } from "./account.js";

const lines = (token, address) => `from status_reporter import StatusReporter

reporter = StatusReporter("${token}", "${address}", name="My bot")
with reporter.session("1.0"):
    for job in reporter.track(find_jobs(), activity="applying"):  # ends when you press Stop
        report = reporter.job(job.id, title=job.title, url=job.url)
        if apply_to(job):
            report.applied()
        else:
            report.failed("the form refused it")
`;

const WITHOUT = "TOKEN";

/** The lines and their two buttons. Nothing is copied before a token is in: with the word in its place no bot would be heard. */
export class EmptyState {
  #api;
  #address;
  #paste = document.getElementById("paste");
  #make = document.getElementById("make-token");
  #copier = document.getElementById("copy");
  #said = document.getElementById("paste-said");

  constructor(api, home) {
    this.#api = api;
    this.#address = home.href.replace(/\/$/u, "");
    this.#copier.addEventListener("click", () => copy(this.#paste.textContent, this.#said));
    this.#make.addEventListener("click", () => this.#put());
    this.clear();
  }

  /** Shows the lines without a token. */
  clear() {
    this.#paste.textContent = lines(WITHOUT, this.#address);
    this.#said.textContent = "";
    this.#make.hidden = this.#make.disabled = false;
    this.#copier.disabled = true;
    this.#copier.title = "First make a token";
  }

  async #put() {
    this.#make.disabled = true;
    try {
      const { secret } = await this.#api.post("tokens", { name: "My bot", scope: "report" });
      this.#paste.textContent = lines(secret, this.#address);
      this.#said.textContent = "The token is in. It is not shown again: copy the lines now.";
      this.#make.hidden = true;
      this.#copier.disabled = false;
      this.#copier.title = "";
      this.#copier.focus();
    } catch (error) {
      this.#said.textContent = `No token was made: ${error.message}`;
      this.#make.disabled = false;
    }
  }
}
