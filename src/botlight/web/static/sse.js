/**
 * Server-sent events without EventSource: text in, messages out. Pure; knows no network.
 *
 * A message carries `id` only where the server wrote one in that very message: with us an id is a position, and the last
 * message of each batch alone has it.
 */

/** Beyond this many characters without an end of message the stream is not one of ours. */
const MESSAGE_LIMIT = 8 * 1024 * 1024;

/** Takes the text of a stream piece by piece, cut anywhere, and returns the messages that each piece completes. */
export class SseParser {
  #rest = "";
  #event = "message";
  #data = [];
  #id = undefined;

  /**
   * @param {string} text the next piece of the stream
   * @returns {{event: string, data: string, id: (string|undefined)}[]}
   * @throws {RangeError} when a message grows beyond any bound of ours
   */
  push(text) {
    const lines = (this.#rest + text).split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop();
    if (this.#rest.length > MESSAGE_LIMIT) throw new RangeError("a message of the event stream is too long");
    return lines.map((line) => this.#take(line)).filter(Boolean);
  }

  #take(line) {
    if (line === "") return this.#finish();
    const [, field, value] = /^([^:]*)(?:: ?(.*))?$/su.exec(line);
    if (field === "event") this.#event = value ?? "";
    else if (field === "data") this.#data.push(value ?? "");
    else if (field === "id") this.#id = value ?? "";
    return undefined; // a comment or a field that means nothing to us
  }

  #finish() {
    const message = { event: this.#event, data: this.#data.join("\n"), id: this.#id };
    const said = this.#data.length > 0;
    this.#event = "message";
    this.#data = [];
    this.#id = undefined;
    return said ? message : undefined;
  }
}

/**
 * Reads the body of an answer as messages until it ends, fails, or its request is aborted.
 * @param {Response} response
 */
export async function* messages(response) {
  const parser = new SseParser();
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    yield* parser.push(value);
  }
}
