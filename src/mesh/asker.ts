/** Who a request is from, read out of its head when an audience asks. Good for this turn only, as the head is. */
import type { Person } from "../wire/audience.ts";
import { isText, SP } from "./characters.ts";
import { field, scanField } from "./field.ts";
import type { RequestHead } from "./request-head.ts";

export class Asker implements Person {
  key = "";
  readonly address: string;
  readonly #head: RequestHead;

  constructor(head: RequestHead, address: string) {
    this.#head = head;
    this.address = address;
  }

  /** The first line of that name, in lower case; undefined when there is none. */
  header(name: string): string | undefined {
    const { bytes, kept } = this.#head;
    for (let at = kept.from; at < kept.to; at = field.next) {
      if (scanField(bytes, at, kept.to, kept.to) <= 0) return undefined;
      if (field.nameEnd - at === name.length && isText(bytes, at, name)) {
        return bytes.toString("latin1", field.valueFrom, field.valueTo);
      }
    }
    return undefined;
  }

  cookie(name: string): string | undefined {
    const { bytes, cookieFrom, cookieTo } = this.#head;
    for (let at = cookieFrom; at < cookieTo; at++) {
      while (at < cookieTo && bytes[at] === SP) at++;
      const semicolon = bytes.indexOf(59, at);
      const end = semicolon < 0 || semicolon > cookieTo ? cookieTo : semicolon;
      const pair = bytes.toString("latin1", at, end);
      if (pair.startsWith(name) && pair[name.length] === "=") return pair.slice(name.length + 1).trimEnd();
      at = end;
    }
    return undefined;
  }
}
