import { NinesError } from "./errors.ts";

/**
 * Small readers for values that came over a process boundary. Each names the place in its error. Unknown
 * keys are ignored, so that a newer sender does not break an older reader.
 */
export class Shape {
  readonly #value: Readonly<Record<string, unknown>>;
  readonly #place: string;

  constructor(value: unknown, place: string) {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw new NinesError("invalid", `${place}: expected an object, found ${describe(value)}`);
    }
    this.#value = value as Record<string, unknown>;
    this.#place = place;
  }

  string(key: string, missing?: string): string {
    return this.#read(key, "a string", missing, (value) => typeof value === "string");
  }

  number(key: string, missing?: number): number {
    return this.#read(
      key,
      "a number",
      missing,
      (value) => typeof value === "number" && Number.isFinite(value),
    );
  }

  boolean(key: string, missing?: boolean): boolean {
    return this.#read(key, "true or false", missing, (value) => typeof value === "boolean");
  }

  /** One of the given words. */
  word<T extends string>(key: string, words: readonly T[], missing?: T): T {
    return this.#read(key, `one of ${words.join(", ")}`, missing, (value) => words.includes(value as T));
  }

  optional<T>(key: string, read: (shape: this) => T): T | undefined {
    return this.#value[key] === undefined || this.#value[key] === null ? undefined : read(this);
  }

  object(key: string): Shape {
    return new Shape(this.#value[key], `${this.#place}.${key}`);
  }

  /** A flat map of strings; empty when missing. */
  strings(key: string): Readonly<Record<string, string>> {
    return this.#map(key, "a string", (value): value is string => typeof value === "string");
  }

  /** A flat map of numbers; empty when missing. */
  numbers(key: string): Readonly<Record<string, number>> {
    return this.#map(key, "a number", (value): value is number => Number.isFinite(value));
  }

  #map<T>(key: string, expected: string, is: (value: unknown) => value is T): Readonly<Record<string, T>> {
    const map = this.#value[key] ?? {};
    new Shape(map, `${this.#place}.${key}`);
    for (const [name, value] of Object.entries(map)) {
      if (!is(value)) throw this.#wrong(`${key}.${name}`, expected, value);
    }
    return map as Record<string, T>;
  }

  #read<T>(key: string, expected: string, missing: T | undefined, is: (value: unknown) => boolean): T {
    const value = this.#value[key];
    if (value === undefined && missing !== undefined) return missing;
    if (!is(value)) throw this.#wrong(key, expected, value);
    return value as T;
  }

  #wrong(key: string, expected: string, found: unknown): NinesError {
    return new NinesError("invalid", `${this.#place}.${key}: expected ${expected}, found ${describe(found)}`);
  }
}

function describe(value: unknown): string {
  if (value === undefined) return "nothing";
  return value === null
    ? "null"
    : Array.isArray(value)
      ? "a list"
      : `${typeof value} ${JSON.stringify(value).slice(0, 60)}`;
}
