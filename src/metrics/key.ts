/**
 * What a series is called: its name and labels in one string, `http.requests;app=shop;status=2xx`, labels in
 * order. So it is a key of maps, and travels in a message that is JSON without a quote in it.
 */
import { NinesError } from "../std/errors.ts";

export type Labels = Readonly<Record<string, string>>;

const nameShape = /^[a-zA-Z_][a-zA-Z0-9_]*(\.[a-zA-Z0-9_]+)*$/;
const labelShape = /^[a-zA-Z_][a-zA-Z0-9_]*$/;
const nameLengthMax = 100;
const valueLengthMax = 200;
const labelsMax = 12;
const special = /[;=%\s]/g;

/** The key of a series; throws `invalid` for names and values that it may not have. */
export function toKey(name: string, labels: Labels = {}): string {
  if (name.length > nameLengthMax || !nameShape.test(name)) {
    throw new NinesError(
      "invalid",
      `metric name "${name.slice(0, 60)}": expected words of a-z 0-9 _ joined by dots`,
      {
        hint: "for example shop.orders or http.latency_ms",
      },
    );
  }
  const names = Object.keys(labels);
  if (names.length > labelsMax) {
    throw new NinesError("invalid", `metric ${name}: ${names.length} labels, ${labelsMax} are allowed`);
  }
  let key = name;
  for (const label of names.sort()) {
    if (!labelShape.test(label) || label.startsWith("__") || label.length > nameLengthMax) {
      throw new NinesError("invalid", `metric ${name}: label "${label.slice(0, 60)}": expected a-z 0-9 _`);
    }
    const value = String(labels[label]);
    if (value.length > valueLengthMax) {
      throw new NinesError("invalid", `metric ${name}: label ${label} is longer than ${valueLengthMax}`);
    }
    key += `;${label}=${value.replace(special, encodeURIComponent)}`;
  }
  return key;
}

/** Name and labels of a key; throws `invalid` when it is none. */
export function parseKey(key: string): { readonly name: string; readonly labels: Labels } {
  const [name = "", ...pairs] = key.split(";");
  const labels: Record<string, string> = {};
  for (const pair of pairs) {
    const at = pair.indexOf("=");
    if (at <= 0) throw new NinesError("invalid", `series "${key.slice(0, 120)}": "${pair}" is no label`);
    const value = pair.slice(at + 1);
    labels[pair.slice(0, at)] = value.includes("%") ? decode(value) : value;
  }
  // Checks every part by the same rules that made it.
  if (toKey(name, labels) !== key)
    throw new NinesError("invalid", `series "${key.slice(0, 120)}": not in order`);
  return { name, labels };
}

function decode(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    throw new NinesError("invalid", `label value "${value.slice(0, 60)}": not percent-encoded`);
  }
}
