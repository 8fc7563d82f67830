/** Reads YAML field by field; whatever is wrong is noted with its line and column, and reading goes on. */
import { isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from "yaml";
import { parseDuration } from "../std/duration.ts";
import { nearest } from "../std/nearest.ts";

export interface Problem {
  readonly line: number;
  readonly column: number;
  readonly message: string;
}
export type Problems = Problem[];

/** The root of a document; undefined when it is empty or not YAML (which is then noted). */
export function openYaml(text: string, problems: Problems): Field | undefined {
  const lines = new LineCounter();
  // The nodes are read as they stand and never turned into values, so aliases cannot unfold into gigabytes.
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true });
  const at = (offset: number, message: string) => {
    const { line, col } = lines.linePos(offset);
    problems.push({ line: Math.max(line, 1), column: Math.max(col, 1), message });
  };
  for (const error of document.errors.slice(0, 3)) at(error.pos[0], error.message);
  if (document.errors.length > 0 || document.contents === null) return undefined;
  const root = new Field(document.contents, at);
  return isScalar(document.contents) && document.contents.value === null ? undefined : root;
}

/** One value of the document. Each reader gives undefined, and notes why, when the value is not as expected. */
export class Field {
  readonly #node: Node | null;
  readonly #note: (offset: number, message: string) => void;
  readonly #offset: number;

  constructor(node: Node | null, note: (offset: number, message: string) => void, offset = 0) {
    this.#node = node;
    this.#note = note;
    this.#offset = node?.range?.[0] ?? offset;
  }

  get isMap(): boolean {
    return isMap(this.#node);
  }

  get isList(): boolean {
    return isSeq(this.#node);
  }

  refuse(message: string): undefined {
    this.#note(this.#offset, message);
    return undefined;
  }

  /** The fields of a map by name; other names than those expected are noted. */
  map<K extends string>(expected: readonly K[]): Partial<Record<K, Field>> {
    if (!isMap(this.#node)) {
      this.refuse(`expected a map of ${expected.join(", ")}, found ${this.#found()}`);
      return Object.create(null);
    }
    const fields: Partial<Record<K, Field>> = Object.create(null);
    for (const pair of this.#node.items) {
      const key = pair.key as Node;
      const name = isScalar(key) ? String(key.value) : "";
      const offset = key.range?.[0] ?? this.#offset;
      if (expected.includes(name as K)) {
        fields[name as K] = new Field(pair.value as Node | null, this.#note, offset);
        continue;
      }
      const close = nearest(name, expected);
      this.#note(
        offset,
        `unknown key "${name}"; ${close === undefined ? `expected one of ${expected.join(", ")}` : `did you mean "${close}"?`}`,
      );
    }
    return fields;
  }

  /** A map of any names. */
  entries(expected: string): readonly (readonly [name: string, value: Field])[] {
    if (!isMap(this.#node)) {
      this.refuse(`expected a map of ${expected} to values, found ${this.#found()}`);
      return [];
    }
    return this.#node.items.map((pair) => {
      const key = pair.key as Node;
      const offset = key.range?.[0] ?? this.#offset;
      const name = isScalar(key) ? String(key.value) : "";
      if (!/^[\x21-\x7e]{1,100}$/.test(name)) this.#note(offset, `expected ${expected}`);
      return [name, new Field(pair.value as Node | null, this.#note, offset)];
    });
  }

  list(max: number): readonly Field[] {
    if (!isSeq(this.#node)) {
      this.refuse(`expected a list, found ${this.#found()}`);
      return [];
    }
    if (this.#node.items.length > max) this.refuse(`expected at most ${max} items`);
    return this.#node.items.slice(0, max).map((item) => new Field(item as Node, this.#note, this.#offset));
  }

  /** The scalar as `accept` makes it; undefined from it means that it is not what was expected. */
  check<T>(expected: string, accept: (value: unknown) => T | undefined): T | undefined {
    const value = isScalar(this.#node) ? accept(this.#node.value) : undefined;
    return value ?? this.refuse(`expected ${expected}, found ${this.#found()}`);
  }

  string(expected: string): string | undefined {
    return this.check(expected, (value) =>
      typeof value === "string" && value.trim() !== "" && !value.includes("\0") ? value : undefined,
    );
  }

  boolean(): boolean | undefined {
    return this.check("true or false", (value) => (typeof value === "boolean" ? value : undefined));
  }

  whole(min: number, max: number): number | undefined {
    return this.check(`a whole number from ${min} to ${max}`, (value) =>
      Number.isInteger(value) && (value as number) >= min && (value as number) <= max
        ? (value as number)
        : undefined,
    );
  }

  duration(bounds: { readonly min: number; readonly max: number }): number | undefined {
    const limit = `from ${bounds.min / 1_000} s to ${bounds.max / 1_000} s`;
    return this.check(`a duration such as 30s, 2m or 500ms, ${limit}`, (value) => {
      if (typeof value !== "string" && typeof value !== "number") return undefined;
      try {
        const ms = parseDuration(value);
        return ms >= bounds.min && ms <= bounds.max ? ms : undefined;
      } catch {
        return undefined;
      }
    });
  }

  bytes(bounds: { readonly min: number; readonly max: number }): number | undefined {
    return this.check(`a size of at least ${bounds.min >> 20}M, such as 256M or 1G`, (value) => {
      const match = /^(\d{1,6}(?:\.\d+)?)\s*([KMGT])(?:i?B)?$/i.exec(String(value));
      if (match === null) return undefined;
      const bytes = Math.round(
        Number(match[1]) * 1024 ** ("KMGT".indexOf((match[2] ?? "").toUpperCase()) + 1),
      );
      return bytes >= bounds.min && bytes <= bounds.max ? bytes : undefined;
    });
  }

  url(): string | undefined {
    return this.check("a URL that starts with http:// or https://", (value) =>
      typeof value === "string" && /^https?:\/\//.test(value) && URL.canParse(value) ? value : undefined,
    );
  }

  #found(): string {
    const node = this.#node;
    if (node === null) return "nothing";
    if (isMap(node)) return "a map";
    if (isSeq(node)) return "a list";
    if (!isScalar(node)) return "an alias, which is not supported here";
    return node.value === null ? "nothing" : JSON.stringify(node.value).slice(0, 60);
  }
}
