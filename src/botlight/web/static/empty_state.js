/** The empty board: the lines that make a bot appear here, with the right address, and a token on request. */

import { copy } from "./account.js";

const lines = (token, address) => `from status_reporter import StatusReporter  # the one file, beside your bot

reporter = StatusReporter("${token}", "${address}", name="My bot")

with reporter.session(version="1.0"):
    for job in reporter.track(find_jobs(), found=True, activity="applying"):  # ends when you press Stop
        if apply_to(job):
            reporter.increment_jobs_applied()
        else:
            reporter.increment_jobs_failed()
`;

/** Writes the lines and wires their two buttons. */
export function wireEmptyState(api, home) {
  const [paste, make, copier, said] = ["paste", "make-token", "copy", "paste-said"].map((id) => document.getElementById(id));
  const address = home.href.replace(/\/$/u, "");
  paste.textContent = lines("TOKEN", address);
  copier.hidden = false;
  copier.addEventListener("click", () => copy(paste.textContent, said));
  make.addEventListener("click", async () => {
    make.disabled = true;
    try {
      const { secret } = await api.post("tokens", { name: "My bot", scope: "report" });
      paste.textContent = lines(secret, address);
      said.textContent = "The token is in. It is not shown again: copy the lines now.";
      make.hidden = true;
    } catch (error) {
      said.textContent = `No token was made: ${error.message}`;
      make.disabled = false;
    }
  });
}
