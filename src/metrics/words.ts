/** Ten thousand series have few label values of their own: each is kept once. */
import type { Labels } from "./key.ts";

const wordsMax = 5_000;
const wordLengthMax = 40;

export class Words {
  #known = new Map<string, string>();

  share(labels: Record<string, string>): Labels {
    for (const [label, value] of Object.entries(labels)) {
      const known = this.#known.get(value);
      if (known !== undefined) labels[label] = known;
      else if (value.length <= wordLengthMax) this.#known.set(value, value);
    }
    // Nothing but memory is lost by it.
    if (this.#known.size > wordsMax) this.#known = new Map();
    return labels;
  }
}
