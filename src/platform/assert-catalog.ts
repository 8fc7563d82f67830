/** All asserts there are: those that Nines comes with, and those of the registry, which may adjust them. */
import { type Assert, parseAssert, shippedAsserts } from "../metrics/asserts.ts";
import { toError } from "../std/errors.ts";
import { type AssertReply, alertPaths } from "../wire/asserts.ts";
import type { AlertView } from "./alert-records.ts";

/** More asserts than this are not taken. */
export const assertsMax = 500;

export interface Listed {
  readonly name: string;
  readonly origin: AssertReply["origin"];
  /** The last one that could be read; undefined when none ever could. */
  readonly assert: Assert | undefined;
  /** What is wrong with the record that lies in the registry; empty when nothing is. */
  readonly problem: string;
}

interface Read {
  readonly revision: number;
  readonly assert: Assert | undefined;
  readonly problem: string;
}

export class Catalog {
  readonly #view: AlertView;
  readonly #shipped = new Map([...shippedAsserts].map(([name, record]) => [name, parseAssert(name, record)]));
  #read = new Map<string, Read>();
  #revision = -1;
  #listed: readonly Listed[] = [];

  constructor(view: AlertView) {
    this.#view = view;
  }

  /** By name. */
  list(): readonly Listed[] {
    if (this.#revision === this.#view.revision) return this.#listed;
    this.#revision = this.#view.revision;
    const before = this.#read;
    this.#read = new Map();
    for (const { path, value, revision } of this.#view.list(alertPaths.assert(""))) {
      const name = path.slice(alertPaths.assert("").length);
      const known = before.get(name);
      this.#read.set(name, known?.revision === revision ? known : readAssert(name, value, revision, known));
    }
    const names = [...new Set([...this.#shipped.keys(), ...this.#read.keys()])].sort().slice(0, assertsMax);
    this.#listed = names.map((name) => this.#toListed(name));
    return this.#listed;
  }

  get(name: string): Listed | undefined {
    return this.list().find((one) => one.name === name);
  }

  #toListed(name: string): Listed {
    const shipped = this.#shipped.get(name);
    const own = this.#read.get(name);
    if (own === undefined) return { name, origin: "shipped", assert: shipped, problem: "" };
    return {
      name,
      origin: shipped === undefined ? "own" : "adjusted",
      assert: own.assert ?? shipped,
      problem: own.problem,
    };
  }
}

/** A record that cannot be read leaves the last one that could. */
function readAssert(name: string, value: unknown, revision: number, last: Read | undefined): Read {
  try {
    return { revision, assert: parseAssert(name, value), problem: "" };
  } catch (error) {
    return { revision, assert: last?.assert, problem: toError(error).message };
  }
}
